//! Certificate policies (RFC 5280 sections 4.2.1.4, 4.2.1.5, 4.2.1.11, 4.2.1.14, and 6.1).
use mailer::trust::PolicyInputs;

use crate::maker::{oid, sequence, tlv};
use crate::opinions::{
    Broken, Chain, Second::Accepts, Second::Agrees, broken, broken_longer, check, check_good, id,
};

const GOLD: &str = "1.3.6.1.4.1.32473.1";
const SILVER: &str = "1.3.6.1.4.1.32473.2";
const ANY: &str = "2.5.29.32.0";

fn policies(list: &[&str]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = list.iter().map(|policy| sequence(&[&oid(policy)])).collect();
    sequence(&list.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn mapping(issuer: &str, subject: &str) -> Vec<u8> {
    sequence(&[&sequence(&[&oid(issuer), &oid(subject)])])
}

/// policyConstraints: requireExplicitPolicy is 0, inhibitPolicyMapping is 1.
fn policy_constraint(field: u8, skip: u8) -> Vec<u8> {
    sequence(&[&[0x80 | field, 1, skip]])
}

/// The person and the CA are certified for these; a valid policy is demanded.
fn certified(chain: &mut Chain, ca: &[&str], person: &[&str]) {
    chain.ca.put(id::POLICIES, false, policies(ca));
    chain.person.put(id::POLICIES, false, policies(person));
    explicit(chain);
}

fn explicit(chain: &mut Chain) {
    chain.policies.explicit = true;
    chain.openssl = vec!["-policy_check", "-explicit_policy", "-policy", ANY];
}

fn required(what: &'static str, change: impl FnOnce(&mut Chain)) -> Broken {
    broken(what, "policy-required", Agrees, change)
}

#[test]
fn a_required_policy_must_be_valid() {
    check(&[
        required("6.1.3 (e) no policies at all", explicit),
        required("6.1.3 (e) the person has none", |chain| {
            certified(chain, &[GOLD], &[GOLD]);
            chain.person.remove(id::POLICIES);
        }),
        required("6.1.3 (d) the person has another", |chain| certified(chain, &[GOLD], &[SILVER])),
        required("6.1.5 (g) none that the user accepts", |chain| {
            certified(chain, &[GOLD], &[GOLD]);
            chain.policies.acceptable = Some([SILVER.parse().unwrap()].into());
            chain.openssl = vec!["-policy_check", "-explicit_policy", "-policy", SILVER];
        }),
        required("6.1.4 (i) a CA demands a policy", |chain| {
            chain.ca.put(id::POLICY_CONSTRAINTS, true, policy_constraint(0, 0));
            chain.openssl = vec!["-policy_check", "-policy", ANY];
        }),
        required("6.1.5 (b) the person's certificate demands a policy", |chain| {
            chain.person.put(id::POLICY_CONSTRAINTS, true, policy_constraint(0, 0));
            chain.openssl = vec!["-policy_check", "-policy", ANY];
        }),
        broken_longer(
            "6.1.4 (h) a demand that begins one certificate later",
            "policy-required",
            Agrees,
            |chain| {
                chain.ca.put(id::POLICY_CONSTRAINTS, true, policy_constraint(0, 1));
                chain.openssl = vec!["-policy_check", "-policy", ANY];
            },
        ),
    ]);
}

#[test]
fn any_policy_may_be_inhibited() {
    check(&[
        required("6.1.3 (d)(2) inhibited from the start", |chain| {
            certified(chain, &[GOLD], &[ANY]);
            chain.policies.inhibit_any = true;
            chain.openssl.push("-inhibit_any");
        }),
        required("6.1.4 (j) inhibited by the CA", |chain| {
            certified(chain, &[GOLD], &[ANY]);
            chain.ca.put(id::INHIBIT_ANY_POLICY, true, vec![2, 1, 0]);
        }),
        required("6.1.4 (j) of the CA, inhibited by the user", |chain| {
            certified(chain, &[ANY], &[GOLD]);
            chain.policies.inhibit_any = true;
            chain.openssl.push("-inhibit_any");
        }),
    ]);
}

#[test]
fn mappings_may_be_inhibited() {
    let mapped = |chain: &mut Chain| {
        certified(chain, &[GOLD], &[SILVER]);
        chain.ca.put(id::POLICY_MAPPINGS, true, mapping(GOLD, SILVER));
    };
    let malformed = "certificate-malformed";
    check(&[
        required("6.1.4 (b)(2) inhibited from the start", |chain| {
            mapped(chain);
            chain.policies.inhibit_mapping = true;
            chain.openssl.push("-inhibit_map");
        }),
        broken(
            "6.1.4 (i) inhibited by the anchor",
            "policy-required",
            Accepts("openssl takes no policy constraints from an anchor; RFC 5937 does"),
            |chain| {
                mapped(chain);
                chain.root.put(id::POLICY_CONSTRAINTS, true, policy_constraint(1, 0));
            },
        ),
        required("6.1.4 (b)(1) mapped away: the old name is no longer valid", |chain| {
            mapped(chain);
            chain.person.put(id::POLICIES, false, policies(&[GOLD]));
        }),
        broken("6.1.4 (a) anyPolicy is mapped", malformed, Agrees, |chain| {
            certified(chain, &[ANY], &[GOLD]);
            chain.ca.put(id::POLICY_MAPPINGS, true, mapping(ANY, GOLD));
        }),
        broken("6.1.4 (a) mapped to anyPolicy", malformed, Agrees, |chain| {
            certified(chain, &[GOLD], &[GOLD]);
            chain.ca.put(id::POLICY_MAPPINGS, true, mapping(GOLD, ANY));
        }),
    ]);
    let mut good = Chain::new();
    mapped(&mut good);
    let mut any = Chain::new();
    certified(&mut any, &[ANY], &[SILVER]);
    any.policies = PolicyInputs {
        acceptable: Some([SILVER.parse().unwrap()].into()),
        explicit: true,
        ..PolicyInputs::default()
    };
    check_good(vec![("a mapped policy", good), ("any policy", any)]);
}

#[test]
fn policy_extensions_are_well_formed() {
    let malformed = "certificate-malformed";
    let unasked = "openssl looks into policies only when it is told to";
    let asked = |chain: &mut Chain| chain.openssl = vec!["-policy_check", "-policy", ANY];
    check(&[
        broken("4.2.1.4 a policy twice", malformed, Agrees, |chain| {
            chain.person.put(id::POLICIES, false, policies(&[GOLD, GOLD]));
            asked(chain);
        }),
        broken("4.2.1.4 a policy twice, unasked", malformed, Accepts(unasked), |chain| {
            chain.person.put(id::POLICIES, false, policies(&[GOLD, GOLD]));
        }),
        broken(
            "4.2.1.4 no policy in the list",
            malformed,
            Accepts("openssl takes an empty list for none"),
            |chain| {
                chain.person.put(id::POLICIES, false, sequence(&[]));
                asked(chain);
            },
        ),
        broken("4.2.1.5 mappings that are none", malformed, Agrees, |chain| {
            chain.ca.put(id::POLICIES, false, policies(&[GOLD]));
            chain.ca.put(id::POLICY_MAPPINGS, true, sequence(&[&sequence(&[&oid(GOLD)])]));
            asked(chain);
        }),
        broken("4.2.1.11 constraints that say nothing", malformed, Agrees, |chain| {
            chain.ca.put(id::POLICY_CONSTRAINTS, true, sequence(&[]));
            asked(chain);
        }),
        broken("4.2.1.11 a skip below zero", malformed, Agrees, |chain| {
            chain.ca.put(id::POLICY_CONSTRAINTS, true, policy_constraint(0, 0xFF));
            asked(chain);
        }),
        broken("4.2.1.14 a skip that is no number", malformed, Agrees, |chain| {
            // Without policies beside it, openssl does not look at it.
            chain.ca.put(id::POLICIES, false, policies(&[GOLD]));
            chain.ca.put(id::INHIBIT_ANY_POLICY, true, tlv(4, &[&[0]]));
            asked(chain);
        }),
    ]);
}
