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
    assert_eq!((&card["card_serial"], &card["state"]), (&4711.into(), &"on hold".into()));
    assert_eq!(card["card_guid"], guid_of(&locator).to_string());
    assert_eq!(card["card_name"], "serial=4711");
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
