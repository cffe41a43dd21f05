//! A list of staff beside the people who are known: previewed, applied, and never the end of half of the staff.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::Desk;
use serde_json::Value;

fn names(people: &Value) -> Vec<&str> {
    people.as_array().unwrap().iter().map(|person| person["name"].as_str().unwrap()).collect()
}

fn import(desk: &Desk, text: &str, arguments: &[&str]) -> (i32, Value, String) {
    std::fs::write(desk.path("staff.csv"), text).unwrap();
    let mut all = vec!["--json", "staff", "import", "staff.csv"];
    all.extend(arguments);
    let run = desk.issuer(&all);
    (run.status, serde_json::from_str(&run.stdout).unwrap_or_default(), run.stderr)
}

const LIST: &str =
    "name,mail,id,until\nAlice Li,alice.li@example.org,1001,\nDora Ek,dora@example.org,1004,2027-01-31\n";

#[test]
fn a_difference_is_shown_first_and_applied_when_asked() {
    let desk = Desk::new();
    let locator = desk.yubikey("bob.card", &[]);
    desk.issue("bob@example.org", &locator, &[]);
    let (status, preview, _) = import(&desk, LIST, &["--preview"]);
    assert_eq!(status, 0);
    assert_eq!(names(&preview["joiners"]), ["Dora Ek"]);
    assert_eq!(names(&preview["leavers"]), ["Bob Ruiz"]);
    let what: Vec<_> =
        preview["changes"][0]["what"].as_array().unwrap().iter().map(|what| what.as_str().unwrap()).collect();
    assert_eq!(what, ["name Alice Ng -> Alice Li", "mail alice@example.org -> alice.li@example.org"]);
    assert_eq!(
        names(&desk.json(&["staff", "list"])),
        ["Alice Ng", "Bob Ruiz"],
        "a preview changed something"
    );

    let (status, done, _) = import(&desk, LIST, &["--apply"]);
    assert_eq!(
        (status, &done["added"], &done["changed"], &done["left"]),
        (0, &1.into(), &1.into(), &1.into())
    );
    assert_eq!(
        desk.json(&["staff", "list"])[1]["card_state"],
        "awaiting activation",
        "a list alone revoked a card"
    );
    desk.issuer(&["issue", "bob@example.org", "--card", &locator, "--transport-pin-file", "x"]).expect(1);
    let leavers = desk.json(&["staff", "leavers"]);
    assert_eq!(names(&leavers), ["Bob Ruiz"]);
    assert_eq!(desk.json(&["request", "list"])[0]["kind"], "revocation");
    let revoked = desk.json(&["staff", "leavers", "--revoke"]);
    assert_eq!(revoked[0]["revoked"], 4);
    assert_eq!(desk.json(&["staff", "leavers"]), Value::Array(Vec::new()));
    assert_eq!(desk.json(&["request", "list"]), Value::Array(Vec::new()));

    let (_, again, _) = import(&desk, LIST, &["--apply"]);
    assert_eq!(
        (&again["added"], &again["changed"], &again["left"], &again["unchanged"]),
        (&0.into(), &0.into(), &0.into(), &2.into())
    );
    let (_, back, _) = import(&desk, &format!("{LIST}Bob Ruiz,bob@example.org,,\n"), &["--apply"]);
    assert_eq!(back["returned"], 1);
    // Whoever leaves a column out says nothing of it.
    let (_, without, _) = import(&desk, "name,mail,id\nDora Ek,dora@example.org,1004\n", &[]);
    assert_eq!(without["unchanged"], 1);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_list_that_lost_its_rows_is_not_the_end_of_the_staff() {
    let desk = Desk::new();
    let many: String = (0..20).map(|number| format!("Person {number},p{number}@example.org\n")).collect();
    desk.import_staff(&format!("name,mail\n{many}")).expect(0);
    let (status, _, said) = import(&desk, "name,mail\nPerson 1,p1@example.org\n", &["--apply"]);
    assert_eq!(status, 1);
    assert!(said.contains("21 of 22 people left") && said.contains("--leavers-at-most 21"), "{said}");
    let (status, done, _) =
        import(&desk, "name,mail\nPerson 1,p1@example.org\n", &["--apply", "--leavers-at-most", "21"]);
    assert_eq!((status, &done["left"]), (0, &21.into()));
}

#[test]
fn every_bad_row_is_named_and_the_others_go_in() {
    let desk = Desk::new();
    let text = "name,mail,id,until\nDora Ek,dora@example.org,1004,\nDora Two,DORA@example.org,1005,\nEve,eve@elsewhere.example,,\n\
        Finn,finn@example.org,,2027-02-30\nAlice Ng,\u{430}lice@example.org,,\nAlice Ng,,1001,\n";
    let (status, done, said) = import(&desk, text, &["--apply"]);
    assert_eq!(status, 3, "{said}");
    let errors: Vec<_> = done["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| ["place", "field", "code"].map(|key| error[key].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [
            ["row 3", "mail", "duplicate"],
            ["row 4", "mail", "foreign-domain"],
            ["row 5", "until", "malformed"],
            ["row 6", "mail", "homograph"],
            ["row 7", "mail", "malformed"],
        ]
    );
    // Each row names somebody else than Bob.
    assert_eq!((&done["added"], &done["left"]), (&1.into(), &1.into()));
    // Whom this is about is not known: perhaps it is Dora, who then has not left.
    let (_, done, _) =
        import(&desk, "name,mail,id\nAlice Ng,alice@example.org,1001\nD,d o r a,\n", &["--apply"]);
    assert_eq!(done["left"], 0);
}

mod directory {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// The real OpenLDAP server on loopback.
    struct Slapd {
        port: u16,
        process: Child,
        _folder: tempfile::TempDir,
    }

    const ENTRIES: &str = "dn: dc=example,dc=org\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\n\n\
        dn: uid=alice,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: alice\nsn: Ng\ncn: Alice Ng\nmail: alice@example.org\nemployeeNumber: 1001\n\n\
        dn: uid=wang,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: wang\nsn:: 546L\ncn:: 546L5bCP5piO\nmail: wang@example.org\nemployeeNumber: 1002\n\n\
        dn: uid=eve,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: eve\nsn: Roy\ncn: Eve Roy\nmail: eve@elsewhere.example\n\n\
        dn: uid=robot,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: robot\nsn: Robot\ncn: Robot\n\n\
        dn: ou=branches,dc=example,dc=org\nobjectClass: organizationalUnit\nou: branches\n\n\
        dn: ou=far,ou=branches,dc=example,dc=org\nobjectClass: referral\nobjectClass: extensibleObject\nou: far\nref: ldap://far.example.org/ou=far,dc=example,dc=org\n\n";

    impl Slapd {
        fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("db")).unwrap();
            let at = |name: &str| folder.path().join(name).display().to_string();
            let schemas = ["core", "cosine", "inetorgperson"]
                .map(|name| format!("include /etc/ldap/schema/{name}.schema\n"))
                .concat();
            let config = format!(
                "{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {}\ndatabase mdb\nsuffix \"dc=example,dc=org\"\n\
                 rootdn \"cn=reader,dc=example,dc=org\"\nrootpw secret\ndirectory {}\nmaxsize 67108864\ndbnosync\naccess to * by users read by anonymous auth\n",
                at("slapd.pid"),
                at("db")
            );
            std::fs::write(folder.path().join("slapd.conf"), config).unwrap();
            std::fs::write(folder.path().join("entries.ldif"), ENTRIES).unwrap();
            let loaded = Command::new("/usr/sbin/slapadd")
                .args(["-q", "-f", &at("slapd.conf"), "-l", &at("entries.ldif")])
                .output()
                .expect("slapd must be installed");
            assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let process = Command::new("/usr/sbin/slapd")
                .args(["-d", "0", "-f", &at("slapd.conf"), "-h", &format!("ldap://127.0.0.1:{port}/")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut server = Self { port, process, _folder: folder };
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(server.process.try_wait().unwrap().is_none(), "slapd ended");
                std::thread::yield_now();
            }
            server
        }
    }

    impl Drop for Slapd {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[test]
    fn a_directory_is_a_list_like_any_other() {
        let desk = Desk::new();
        let server = Slapd::start();
        let place = format!("ldap://127.0.0.1:{}/dc=example,dc=org", server.port);
        let url = format!("{place}?cn,mail,employeeNumber?one");
        std::fs::write(desk.path("bind"), "secret\n").unwrap();
        std::fs::write(desk.path("wrong"), "guess\n").unwrap();
        let login = ["--bind-dn", "cn=reader,dc=example,dc=org", "--bind-password-file"];
        let ask = |password: &str, more: &[&str]| {
            let mut all = vec!["--json", "staff", "import", &url];
            all.extend(login);
            all.push(password);
            all.extend(more);
            desk.issuer(&all)
        };
        let refused = ask("wrong", &["--preview"]);
        refused.expect(1);
        assert!(refused.stderr.contains("does not know this name and password"), "{}", refused.stderr);

        let preview = ask("bind", &["--preview"]);
        preview.expect(3);
        let preview: Value = serde_json::from_str(&preview.stdout).unwrap();
        assert_eq!(names(&preview["joiners"]), ["王小明"]);
        assert_eq!((&preview["unchanged"], names(&preview["leavers"])), (&1.into(), vec!["Bob Ruiz"]));
        assert_eq!(preview["errors"][0]["place"], "uid=eve,dc=example,dc=org");
        assert_eq!(preview["errors"][0]["code"], "foreign-domain");

        let filtered = format!("{url}?(employeeNumber=*)");
        let mut all = vec!["--json", "staff", "import", &filtered, "--apply"];
        all.extend(login);
        all.push("bind");
        let done = desk.issuer(&all);
        done.expect(0);
        let done: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((&done["added"], &done["left"]), (&1.into(), &1.into()), "Bob is in no entry");
    }

    /// What is nobody of ours is named, and keeps nobody from leaving; what the server did not answer does.
    #[test]
    fn entries_of_others_hide_nobody_who_left_and_a_part_that_is_elsewhere_may() {
        let desk = Desk::new();
        let server = Slapd::start();
        let place = format!("ldap://127.0.0.1:{}/dc=example,dc=org", server.port);
        std::fs::write(desk.path("bind"), "secret\n").unwrap();
        let preview = |scope: &str, more: &str| {
            let url = format!("{place}?cn,mail,employeeNumber?{scope}?(|(objectClass=person){more})");
            let login = ["--bind-dn", "cn=reader,dc=example,dc=org", "--bind-password-file", "bind"];
            let run = desk.issuer(&[&["--json", "staff", "import", &url, "--preview"][..], &login].concat());
            run.expect(3);
            let preview: Value = serde_json::from_str(&run.stdout).unwrap();
            let places = preview["errors"].as_array().unwrap().iter();
            let places: Vec<_> = places.map(|bad| bad["place"].as_str().unwrap().to_owned()).collect();
            (names(&preview["leavers"]).join(", "), places)
        };
        let (left, named) = preview("one", "");
        assert_eq!(left, "Bob Ruiz");
        assert_eq!(named, ["uid=eve,dc=example,dc=org", "uid=robot,dc=example,dc=org"]);
        let (left, named) = preview("sub", "");
        assert_eq!(left, "", "Bob may be where the rest is");
        assert!(named.iter().any(|place| place.starts_with("ldap://far.example.org/")), "{named:?}");
        // Something without a name may be anybody.
        let (left, named) = preview("one", "(ou=branches)");
        assert_eq!(left, "");
        assert!(named.contains(&"ou=branches,dc=example,dc=org".to_owned()), "{named:?}");
    }

    #[test]
    fn a_password_does_not_travel_in_the_clear() {
        let desk = Desk::new();
        let run = desk.issuer(&[
            "staff",
            "import",
            "ldap://ldap.example.org/dc=x",
            "--bind-dn",
            "cn=x",
            "--bind-password-file",
            "x",
        ]);
        run.refuses(2, &["ldaps://"]);
        desk.issuer(&["staff", "import", "ldaps://ldap.example.org/dc=x"]).refuses(2, &["--ca-file"]);
    }

    /// Whatever a server answers: a refusal in words, and nobody is changed.
    #[test]
    fn no_answer_of_a_server_is_more_than_a_refusal() {
        let desk = Desk::new();
        let answers: [&[u8]; 6] = [
            b"",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            // A search result without its parts; an entry without a name; lengths beyond all bounds; nonsense inside.
            &[0x30, 0x05, 0x02, 0x01, 0x01, 0x65, 0x00],
            &[0x30, 0x05, 0x02, 0x01, 0x01, 0x64, 0x00],
            &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
            &[0x30, 0x0C, 0x02, 0x01, 0x01, 0x64, 0x07, 0x0A, 0x01, 0x00, 0x04, 0x7F, 0x04, 0x00],
        ];
        for answer in answers {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = std::thread::spawn({
                let answer = answer.to_vec();
                move || {
                    let (mut stream, _) = listener.accept().unwrap();
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(&answer);
                    // Nothing follows: whoever waits for more sees the end.
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            });
            let url = format!("ldap://127.0.0.1:{port}/dc=example,dc=org");
            desk.issuer(&["staff", "import", &url, "--apply"]).refuses(1, &["127.0.0.1"]);
            server.join().unwrap();
        }
        assert_eq!(names(&desk.json(&["staff", "list"])), ["Alice Ng", "Bob Ruiz"]);
    }
}
