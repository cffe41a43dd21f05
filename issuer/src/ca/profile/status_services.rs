//! How readers learn of revocations: what certificates say about it.
use crate::ca::crl::partition::Partitions;

/// The ways beyond the complete CRL, which is always published. The default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusServices {
    /// Certificates of people name a partition of the CRL in the place of the complete one. Fixed for as long as a CA key
    /// is used.
    pub partitions: Option<Partitions>,
    /// Whether the CRLs of the authority for people have deltas.
    pub delta_crls: DeltaCrls,
    /// Whether certificates name an OCSP responder.
    pub ocsp: OcspService,
}

/// Whether there are delta CRLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeltaCrls {
    /// Complete CRLs only.
    #[default]
    Omitted,
    /// Complete CRLs name where their deltas lie (freshestCRL).
    Published,
}

/// Whether there is an OCSP responder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OcspService {
    /// There is none.
    #[default]
    Absent,
    /// `BASE_URL/ocsp` answers.
    Offered,
}

/// Where the OCSP responder of a published directory answers.
pub(crate) fn ocsp_url(base_url: &str) -> String {
    format!("{base_url}/ocsp")
}
