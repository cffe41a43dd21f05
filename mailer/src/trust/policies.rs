//! Certificate policies along a path (RFC 5280 sections 6.1.2 to 6.1.5, with the graph of RFC 9618).
//!
//! RFC 5280 keeps a tree that hostile mappings make grow exponentially. Here each depth holds a policy once, with the
//! parents that it has: nodes and edges are never more than the policies and mappings of the certificates.
use std::collections::{BTreeMap, BTreeSet};

use const_oid::ObjectIdentifier;

use crate::certificate::extensions::{ANY_POLICY, PolicyMapping};

/// What the user demands of policies (RFC 5280 section 6.1.1 (c), (e), (f), (g)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyInputs {
    /// The policies that are acceptable; `None` stands for any (user-initial-policy-set).
    pub acceptable: Option<BTreeSet<ObjectIdentifier>>,
    /// The path must be valid for one of them at least (initial-explicit-policy).
    pub explicit: bool,
    /// Policies are not mapped to others (initial-policy-mapping-inhibit).
    pub inhibit_mapping: bool,
    /// anyPolicy counts for nothing (initial-any-policy-inhibit).
    pub inhibit_any: bool,
}

/// No policy is valid though one is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PolicyRequired;

/// The state variables of section 6.1.2 that concern policies.
pub(super) struct PolicyState<'a> {
    inputs: &'a PolicyInputs,
    graph: Option<Graph>,
    explicit_policy: u32,
    policy_mapping: u32,
    inhibit_any_policy: u32,
}

impl<'a> PolicyState<'a> {
    /// At the anchor, above a path of `length` certificates.
    pub(super) fn new(inputs: &'a PolicyInputs, length: usize) -> Self {
        let beyond = u32::try_from(length).unwrap_or(u32::MAX).saturating_add(1);
        let counter = |now: bool| if now { 0 } else { beyond };
        Self {
            inputs,
            graph: Some(Graph::new()),
            explicit_policy: counter(inputs.explicit),
            policy_mapping: counter(inputs.inhibit_mapping),
            inhibit_any_policy: counter(inputs.inhibit_any),
        }
    }

    /// Section 6.1.3 (d), (e), (f): the policies of the next certificate.
    pub(super) fn certificate(
        &mut self,
        policies: Option<&[ObjectIdentifier]>,
        last: bool,
        self_issued: bool,
    ) -> Result<(), PolicyRequired> {
        let any_counts = self.inhibit_any_policy > 0 || (!last && self_issued);
        let graph = self.graph.take();
        self.graph =
            policies.and_then(|policies| graph.and_then(|graph| graph.extended(policies, any_counts)));
        if self.explicit_policy > 0 || self.graph.is_some() { Ok(()) } else { Err(PolicyRequired) }
    }

    /// Section 6.1.4 (b): the mappings of a CA certificate.
    pub(super) fn mappings(&mut self, mappings: &[PolicyMapping]) {
        let allowed = self.policy_mapping > 0;
        self.graph = self.graph.take().and_then(|graph| graph.mapped(mappings, allowed));
    }

    /// Section 6.1.4 (h): one more certificate that is not self-issued was passed.
    pub(super) fn count_down(&mut self) {
        for counter in [&mut self.explicit_policy, &mut self.policy_mapping, &mut self.inhibit_any_policy] {
            *counter = counter.saturating_sub(1);
        }
    }

    /// Section 6.1.4 (i): policyConstraints of a CA certificate.
    pub(super) fn constrain(&mut self, require_explicit: Option<u32>, inhibit_mapping: Option<u32>) {
        self.explicit_policy = self.explicit_policy.min(require_explicit.unwrap_or(u32::MAX));
        self.policy_mapping = self.policy_mapping.min(inhibit_mapping.unwrap_or(u32::MAX));
    }

    /// Section 6.1.4 (j): inhibitAnyPolicy of a CA certificate.
    pub(super) fn inhibit_any(&mut self, skip: u32) {
        self.inhibit_any_policy = self.inhibit_any_policy.min(skip);
    }

    /// Section 6.1.5 (a), (b), (g): the user-constrained policy set at the end of the path.
    pub(super) fn wrap_up(
        mut self,
        require_explicit: Option<u32>,
    ) -> Result<BTreeSet<ObjectIdentifier>, PolicyRequired> {
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        if require_explicit == Some(0) {
            self.explicit_policy = 0;
        }
        let authority_constrained = self.graph.map(|graph| graph.authority_constrained()).unwrap_or_default();
        let set = match &self.inputs.acceptable {
            None => authority_constrained,
            Some(acceptable) if authority_constrained.contains(&ANY_POLICY) => acceptable.clone(),
            Some(acceptable) if acceptable.contains(&ANY_POLICY) => authority_constrained,
            Some(acceptable) => acceptable.intersection(&authority_constrained).copied().collect(),
        };
        if self.explicit_policy > 0 || !set.is_empty() { Ok(set) } else { Err(PolicyRequired) }
    }
}

/// A policy that is valid at one depth.
struct Node {
    /// expected_policy_set: what the next certificate may call it.
    expected: BTreeSet<ObjectIdentifier>,
    /// The policies one depth up from which it follows.
    parents: BTreeSet<ObjectIdentifier>,
}

impl Node {
    fn new(policy: ObjectIdentifier, parents: BTreeSet<ObjectIdentifier>) -> Self {
        Self { expected: BTreeSet::from([policy]), parents }
    }
}

type Level = BTreeMap<ObjectIdentifier, Node>;

/// The valid_policy_graph: a level for each depth, never empty.
struct Graph {
    above: Vec<Level>,
    last: Level,
}

impl Graph {
    /// Depth 0: anyPolicy.
    fn new() -> Self {
        let root = Node::new(ANY_POLICY, BTreeSet::new());
        Self { above: Vec::new(), last: Level::from([(ANY_POLICY, root)]) }
    }

    /// One depth more (6.1.3 (d)); `None` when nothing is valid any more.
    fn extended(mut self, policies: &[ObjectIdentifier], any_counts: bool) -> Option<Self> {
        let mut expecting: BTreeMap<ObjectIdentifier, BTreeSet<ObjectIdentifier>> = BTreeMap::new();
        for (policy, node) in &self.last {
            for expected in &node.expected {
                expecting.entry(*expected).or_default().insert(*policy);
            }
        }
        let mut level = Level::new();
        for policy in policies.iter().filter(|policy| **policy != ANY_POLICY) {
            let parents = match expecting.get(policy) {
                Some(parents) => parents.clone(),
                None if self.last.contains_key(&ANY_POLICY) => BTreeSet::from([ANY_POLICY]),
                None => continue,
            };
            level.insert(*policy, Node::new(*policy, parents));
        }
        if any_counts && policies.contains(&ANY_POLICY) {
            for (policy, parents) in expecting {
                level.entry(policy).or_insert_with(|| Node::new(policy, parents));
            }
        }
        self.above.push(std::mem::replace(&mut self.last, level));
        self.pruned()
    }

    /// Mappings from the issuer's policies to the subject's (6.1.4 (b)); where they are forbidden, what would be mapped is
    /// no longer valid.
    fn mapped(mut self, mappings: &[PolicyMapping], allowed: bool) -> Option<Self> {
        let mut subject_policies: BTreeMap<ObjectIdentifier, BTreeSet<ObjectIdentifier>> = BTreeMap::new();
        for mapping in mappings {
            subject_policies.entry(mapping.issuer_domain).or_default().insert(mapping.subject_domain);
        }
        let any_is_valid = self.last.contains_key(&ANY_POLICY);
        for (policy, expected) in subject_policies {
            match self.last.get_mut(&policy) {
                _ if !allowed => drop(self.last.remove(&policy)),
                Some(node) => node.expected = expected,
                None if any_is_valid => {
                    let parents = BTreeSet::from([ANY_POLICY]);
                    self.last.insert(policy, Node { expected, parents });
                }
                None => {}
            }
        }
        self.pruned()
    }

    /// Without the nodes from which nothing at the last depth follows.
    fn pruned(mut self) -> Option<Self> {
        let mut below = &self.last;
        for level in self.above.iter_mut().rev() {
            let parents: BTreeSet<ObjectIdentifier> =
                below.values().flat_map(|node| node.parents.iter().copied()).collect();
            level.retain(|policy, _| parents.contains(policy));
            below = level;
        }
        if self.last.is_empty() { None } else { Some(self) }
    }

    /// The policies in the words of the CA at the top: those that follow from anyPolicy, and anyPolicy itself if it is valid
    /// to the end (6.1.5 (g)).
    fn authority_constrained(&self) -> BTreeSet<ObjectIdentifier> {
        let nodes = self.above.iter().chain([&self.last]).flatten();
        let top = nodes.filter(|(policy, node)| **policy != ANY_POLICY && node.parents.contains(&ANY_POLICY));
        let any = self.last.contains_key(&ANY_POLICY).then_some(ANY_POLICY);
        top.map(|(policy, _)| *policy).chain(any).collect()
    }

    #[cfg(test)]
    fn size(&self) -> usize {
        let nodes = self.above.iter().chain([&self.last]).flatten();
        nodes.map(|(_, node)| 1 + node.parents.len() + node.expected.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(number: u32) -> ObjectIdentifier {
        format!("1.3.6.1.4.1.32473.{number}").parse().unwrap()
    }

    fn set(numbers: &[u32]) -> BTreeSet<ObjectIdentifier> {
        numbers.iter().map(|number| policy(*number)).collect()
    }

    fn mapping(issuer: u32, subject: u32) -> PolicyMapping {
        PolicyMapping { issuer_domain: policy(issuer), subject_domain: policy(subject) }
    }

    #[test]
    fn what_every_certificate_has_is_valid() {
        let inputs = PolicyInputs { explicit: true, ..PolicyInputs::default() };
        let mut state = PolicyState::new(&inputs, 2);
        state.certificate(Some(&[policy(1), policy(2)]), false, false).unwrap();
        state.count_down();
        state.certificate(Some(&[policy(2), policy(3)]), true, false).unwrap();
        assert_eq!(state.wrap_up(None), Ok(set(&[2])));
    }

    #[test]
    fn a_mapped_policy_is_told_in_the_words_of_the_top() {
        let inputs = PolicyInputs { acceptable: Some(set(&[1])), explicit: true, ..PolicyInputs::default() };
        let mut state = PolicyState::new(&inputs, 2);
        state.certificate(Some(&[policy(1)]), false, false).unwrap();
        state.mappings(&[mapping(1, 7)]);
        state.count_down();
        state.certificate(Some(&[policy(7)]), true, false).unwrap();
        assert_eq!(state.wrap_up(None), Ok(set(&[1])));
    }

    #[test]
    fn a_policy_that_may_not_be_mapped_is_lost() {
        let inputs = PolicyInputs { inhibit_mapping: true, explicit: true, ..PolicyInputs::default() };
        let mut state = PolicyState::new(&inputs, 2);
        state.certificate(Some(&[policy(1)]), false, false).unwrap();
        state.mappings(&[mapping(1, 7)]);
        assert_eq!(state.certificate(Some(&[policy(7)]), true, false), Err(PolicyRequired));
    }

    #[test]
    fn mappings_of_everything_to_everything_do_not_explode() {
        const POLICIES: u32 = 40;
        const DEPTH: usize = 8;
        let policies: Vec<ObjectIdentifier> = (0..POLICIES).map(policy).collect();
        let mappings: Vec<PolicyMapping> =
            (0..POLICIES).flat_map(|one| (0..POLICIES).map(move |other| mapping(one, other))).collect();
        let mut graph = Graph::new();
        for _ in 0..DEPTH {
            graph = graph.extended(&policies, true).unwrap().mapped(&mappings, true).unwrap();
        }
        let linear = DEPTH * (policies.len() + 2 * mappings.len()) + 2;
        assert!(graph.size() <= linear, "{} is more than {linear}", graph.size());
    }
}
