//! What the desk tells its operator: found by whatever is known, advised with what works, in the language of whoever reads.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;

use desk_support::{Desk, guid_of, open, pin};
use middleware::LastTry;
use serde_json::Value;

fn with_card() -> (Desk, String) {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &["--serial", "4711"]);
    let digits = desk.issue("alice@example.org", &locator, &[]);
    std::fs::write(desk.path("pin"), digits).unwrap();
    (desk, locator)
}

fn count(found: &Value, kind: &str) -> usize {
    found[kind].as_array().unwrap().len()
}

#[test]
fn cards_are_found_by_their_state_and_by_what_is_named() {
    let (desk, locator) = with_card();
    desk.yubikey("spare.card", &["--serial", "4799"]);
    for (text, cards) in [("in stock", 1), ("In-Stock", 1), ("awaiting activation", 1), ("在库", 1)] {
        assert_eq!(count(&desk.json(&["find", text]), "cards"), cards, "{text}");
    }
    let refused = desk.issuer(&["find", "on hold"]);
    refused.expect(1);
    assert!(refused.stderr.contains("Nothing was found"), "{}", refused.stderr);
    let by_serial = desk.json(&["find", "serial=4711"]);
    assert_eq!((count(&by_serial, "people"), count(&by_serial, "cards")), (0, 1));
    assert_eq!(count(&desk.json(&["find", "serial=47"]), "cards"), 2);
    let guid = guid_of(&locator).to_string();
    assert_eq!(count(&desk.json(&["find", &format!("guid={}", &guid[..6])]), "cards"), 1);
    let person = desk.json(&["find", "person=alice"]);
    assert_eq!(
        (count(&person, "people"), count(&person, "cards"), count(&person, "certificates")),
        (1, 1, 4)
    );
    let certificate = person["certificates"][0]["serial"].as_str().unwrap();
    assert_eq!(count(&desk.json(&["find", &format!("serial={certificate}")]), "certificates"), 1);
    desk.issuer(&["find", "serial=9999"]).expect(1);
    desk.issuer(&["find", "colour=red"]).expect(1);
}

#[test]
fn what_ends_soon_names_its_card_and_what_comes_before_a_renewal() {
    let (desk, locator) = with_card();
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    let ending = desk.json(&["expiring", "--days", "1000"]);
    let card = &ending["cards"][0];
    assert_eq!((&card["serial"], &card["state"]), (&4711.into(), &"on hold".into()));
    assert_eq!(card["guid"], guid_of(&locator).to_string());
    let said = desk.issuer(&["expiring", "--days", "1000"]).stdout;
    assert!(said.contains("issuer release serial=4711"), "{said}");
    for command in ["renew", "unblock"] {
        let held = desk.issuer(&[command, "alice@example.org", "--card", &locator]);
        held.refuses(1, &["on hold since", "issuer release serial=4711"]);
    }
}

#[test]
fn the_last_pin_try_is_left_alone_and_only_what_there_is_is_advised() {
    let (desk, locator) = with_card();
    let wrong =
        if std::fs::read_to_string(desk.path("pin")).unwrap() == "000000" { "111111" } else { "000000" };
    for _ in 0..2 {
        assert!(open(&locator).transaction().unwrap().verify_pin(&pin(wrong), LastTry::Refuse).is_err());
    }
    let renewal = desk.issuer(&["renew", "alice@example.org", "--card", &locator, "--pin-file", "pin"]);
    renewal.refuses(1, &["last PIN try", "issuer unblock", "card change-pin --last-try"]);
    assert!(!renewal.stderr.contains("repeat with"), "{}", renewal.stderr);
}

#[test]
fn columns_that_mean_nothing_and_secrets_that_are_not_used_are_told() {
    let desk = Desk::new();
    let imported = desk.import_staff("name,mail,Telephone\nEve Roy,eve@example.org,1\n");
    assert!(imported.expect(0).stderr.contains("left out: Telephone"), "{}", imported.stderr);
    let json = desk.json(&["staff", "import", "staff.csv"]);
    assert_eq!(json["unused_columns"], serde_json::json!(["Telephone"]));
    // As a report of people has it.
    let alike = desk.import_staff("name,mail,employed_until\nFinn Lo,finn@example.org,2099-01-31\n");
    assert!(alike.expect(0).stderr.is_empty(), "{}", alike.stderr);
    assert!(desk.issuer(&["report", "people", "--csv"]).stdout.contains("finn@example.org,,2099-01-31"));
    let locator = desk.blank("blank.card", &[]);
    std::fs::write(desk.path("passphrase"), "not the passphrase\n").unwrap();
    let added = desk.issuer(&["stock", "add", "--card", &locator]);
    assert!(added.expect(0).stderr.contains("neither read nor checked"), "{}", added.stderr);
    std::fs::write(desk.path("alice.pin"), "13572468\n").unwrap();
    let letter = desk.issuer(&["pin-letter", "alice.pin", "--to", "letters"]);
    letter.expect(1);
    assert!(letter.stderr.contains("--person"), "{}", letter.stderr);
}

/// People read Chinese; what programs read is the same in every language.
#[test]
fn a_card_that_has_ended_says_why_it_gets_no_pin_and_what_comes_instead() {
    let (desk, locator) = with_card();
    let serial = "serial=4711";
    let refused = |words: &[&str]| {
        let unblock = ["unblock", serial, "--card", &locator, "--transport-pin-file", "new.pin"];
        desk.issuer(&unblock).refuses(1, words);
        desk.issuer(&["renew", serial, "--card", &locator, "--pin-file", "pin"]).refuses(1, &words[..1]);
        assert!(!desk.path("new.pin").exists());
    };
    desk.issuer(&["hold", serial]).expect(0);
    refused(&["is on hold since", "issuer release serial=4711"]);
    desk.issuer(&["mark", serial, "lost"]).expect(0);
    let why = "its certificates are revoked for good, and a new PIN would open nothing";
    refused(&["is lost since", why, "issuer replace alice@example.org --card LOCATOR"]);
    let new = desk.yubikey("new.card", &["--serial", "4799"]);
    let replace = ["replace", "alice@example.org", "--card", &new, "--transport-pin-file", "again.pin"];
    desk.issuer(&replace).expect(0);
    refused(&["is replaced since", why, "issuer show person=alice@example.org"]);
    desk.issuer(&["stock", "return", serial]).expect(0);
    refused(&["is returned since", why, "issuer stock return serial=4711 --card LOCATOR"]);
    desk.issuer(&["stock", "return", serial, "--card", &locator]).expect(0);
    refused(&["is in stock since", "nobody has it", "issuer issue PERSON --card LOCATOR"]);
    desk.issuer(&["mark", serial, "destroyed"]).expect(0);
    refused(&["is destroyed since", why, "issuer issue PERSON --card LOCATOR"]);
}

/// Commands, their options and who is named in them.
const NO_ENGLISH: [&str; 22] = [
    "issuer",
    "issue",
    "stock",
    "add",
    "release",
    "renew",
    "replace",
    "show",
    "find",
    "card",
    "lost",
    "stolen",
    "damaged",
    "because",
    "superseded",
    "serial",
    "alice",
    "bob",
    "nobody",
    "somewhere",
    "example",
    "org",
];

#[test]
fn what_is_refused_most_is_said_in_chinese_alone() {
    let (desk, locator) = with_card();
    let other = desk.yubikey("other.card", &["--serial", "4799"]);
    let unknown = desk.blank("unknown.card", &["--serial", "4788"]);
    std::fs::write(desk.path("wrong"), "87654321\n").unwrap();
    let refused = |arguments: &[&str], words: &[&str]| {
        let said = desk.issuer(&[&["--language", "zh"], arguments].concat());
        said.expect(1);
        for word in words {
            assert!(said.stderr.contains(word), "{word}: {}", said.stderr);
        }
        let text = said.stderr.strip_prefix("issuer: ").unwrap();
        let is_word = |word: &str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let english: Vec<_> = text
            .split(|character: char| !character.is_ascii_alphanumeric())
            .filter(|word| is_word(word) && !NO_ENGLISH.contains(word))
            .collect();
        assert!(english.is_empty(), "{english:?} in {text}");
    };
    let issue = |person, card, words: &[&str]| {
        refused(&["issue", person, "--card", card, "--transport-pin-file", "x"], words);
    };
    issue("bob@example.org", &unknown, &["不在库中", "issuer stock add"]);
    issue("alice@example.org", &other, &["alice@example.org 已有卡", "issuer renew"]);
    issue("bob@example.org", &locator, &["发给 alice@example.org，不会再次发卡"]);
    issue("nobody@example.org", &other, &["nobody@example.org", "issuer find"]);
    refused(&["renew", "1001", "--card", &locator, "--pin-file", "wrong"], &["PIN 不对，还剩 2 次机会"]);
    refused(&["renew", "1001", "--card", &other, "--pin-file", "pin"], &["读卡器里是另一张卡"]);
    refused(&["release", "1001"], &["待启用，不能解除冻结"]);
    refused(&["hold", "somewhere"], &["没有这样的卡"]);
    refused(&["hold", "bob@example.org"], &["没有卡，也不曾有过"]);
    desk.issuer(&["hold", "1001"]).expect(0);
    let renew = ["renew", "1001", "--card", &locator, "--pin-file", "pin"];
    refused(&renew, &["冻结", "issuer release serial=4711"]);
    // Programs read English whatever the language.
    let json = desk.issuer(&["--language", "zh", "--json", "release", "somewhere"]);
    assert!(json.stderr.contains("look with: issuer find"), "{}", json.stderr);
}

#[test]
fn lists_and_publications_are_told_in_chinese() {
    let (desk, _) = with_card();
    let list = "name,mail,colour\nEve Roy,eve@example.org,red\nMal,mal@elsewhere.net,\n";
    std::fs::write(desk.path("list.csv"), list).unwrap();
    let zh = |arguments: &[&str]| desk.issuer(&[&["--language", "zh"], arguments].concat());
    let import = zh(&["staff", "import", "list.csv"]);
    let counted = "新增 1 人，拒绝 1 行：请改正那些行并重新导入。";
    assert!(import.expect(3).stdout.contains(counted), "{}", import.stdout);
    for words in ["已略去：colour", "不在本机构的域内"] {
        assert!(import.stderr.contains(words), "{words}: {}", import.stderr);
    }
    let preview = zh(&["staff", "import", "list.csv", "--preview"]);
    assert!(preview.stdout.contains("没有做任何改动；用 --apply 执行。"), "{}", preview.stdout);
    let published = zh(&["publish", "--to", "public"]);
    for words in ["已发布到", "张邮件证书", "个文件"] {
        assert!(published.expect(0).stdout.contains(words), "{words}: {}", published.stdout);
    }
}

#[test]
fn every_command_of_a_cards_life_speaks_chinese_and_its_json_does_not() {
    let (desk, locator) = with_card();
    let zh = |arguments: &[&str], status: i32, words: &[&str]| {
        let said = desk.issuer(&[&["--language", "zh"], arguments].concat());
        said.expect(status);
        for word in words {
            assert!(
                said.stdout.contains(word) || said.stderr.contains(word),
                "{word}: {}{}",
                said.stdout,
                said.stderr
            );
        }
        assert!(!said.stdout.contains("WHAT") && !said.stdout.contains("SERIAL"), "{}", said.stdout);
    };
    zh(
        &["check", "--card", &locator, "--pin-file", "pin"],
        0,
        &["项目", "9C 证书", "安全对象", "卡片、登记册与签发机构一致"],
    );
    zh(&["find", "alice"], 0, &["姓名", "待启用", "已交付"]);
    zh(&["find", "nobody-at-all"], 1, &["没有找到“nobody-at-all”"]);
    zh(&["expiring", "--days", "1"], 0, &["1 天之内没有到期的"]);
    zh(&["expiring", "--days", "1000", "--queue"], 0, &["剩余天数", "申请 1", "已提出 1 个续期申请"]);
    zh(
        &["renew", "alice@example.org", "--card", &locator, "--pin-file", "pin"],
        0,
        &["开始续期", "上的证书有效期至"],
    );
    std::fs::write(desk.path("chosen"), "27182818\n").unwrap();
    zh(&["unblock", "alice@example.org", "--card", &locator, "--new-pin", "chosen"], 0, &["有了新的 PIN"]);
    std::fs::write(desk.path("chosen"), "111111\n").unwrap();
    zh(&["unblock", "alice@example.org", "--card", &locator, "--new-pin", "chosen"], 1, &["太容易猜到"]);
    for arguments in [&["check", "--card", &locator][..], &["find", "alice"], &["expiring", "--days", "1000"]]
    {
        let of = |language| desk.json(&[&["--language", language], arguments].concat());
        assert_eq!(of("zh"), of("en"), "{arguments:?}");
    }
    let new = desk.yubikey("new.card", &[]);
    let replace = ["replace", "alice@example.org", "--because", "lost", "--card", &new];
    zh(
        &[&replace[..], &["--transport-pin-file", "new.pin"]].concat(),
        0,
        &["它代替卡", "旧邮件：", "谁也读不了"],
    );
    desk.import_staff("name,mail\nEve Roy,eve@example.org\n").expect(0);
    let more = desk.yubikey("more.card", &[]);
    std::fs::write(desk.path("list.csv"), "person\neve@example.org\nalice@example.org\n").unwrap();
    let batch = ["batch", "list.csv", "--pin-folder", "pins", "--card", &more];
    zh(&batch, 0, &["[2/2] eve@example.org：卡", "早已发卡", "2 张卡中完成 2 张", "请发布证书"]);
    zh(&["stock", "return", "serial=4711", "--card", &locator], 0, &["已清除", "在库"]);
    zh(&["stock", "list"], 0, &["序列号或库存 GUID", "在库"]);
}
