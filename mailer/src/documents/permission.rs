//! What may be done to a certified document (DocMDP, ISO 32000-2 section 12.8.2.2).
use super::pdf::{Dictionary, Document, Object, PdfError};

/// The access permissions of a certification (table 257).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// 1: nothing but what proves signatures for longer (the DSS, time stamps).
    NoChanges,
    /// 2: filling in forms and signing.
    FillIn,
    /// 3: also annotations.
    Annotate,
}

impl Permission {
    /// From the number in the file.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::NoChanges),
            2 => Some(Self::FillIn),
            3 => Some(Self::Annotate),
            _ => None,
        }
    }

    /// The number in the file.
    pub fn number(self) -> i64 {
        match self {
            Self::NoChanges => 1,
            Self::FillIn => 2,
            Self::Annotate => 3,
        }
    }

    /// After "It may be changed later only by".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NoChanges => "no change of the document is allowed",
            Self::FillIn => "only filling in forms and signing is allowed",
            Self::Annotate => "only annotations, filling in forms and signing are allowed",
        }
    }

    /// Table 257.
    pub(super) fn transform_parameters(self) -> Dictionary {
        Dictionary::new()
            .with("Type", Object::name("TransformParams"))
            .with("P", self.number())
            .with("V", Object::name("1.2"))
    }

    /// What a signature dictionary allows, if it certifies. Without a number it is 2; a number that means nothing allows
    /// nothing.
    ///
    /// # Errors
    /// The document is damaged.
    pub fn of_signature(document: &Document, signature: &Dictionary) -> Result<Option<Self>, PdfError> {
        let Some(Object::Array(references)) = document.get(signature, "Reference")? else { return Ok(None) };
        for reference in references.iter().take(MOST_REFERENCES) {
            let Object::Dictionary(reference) = document.resolve(reference)? else { continue };
            if !reference.name("TransformMethod").is_some_and(|method| method.is("DocMDP")) {
                continue;
            }
            let parameters = document.get(&reference, "TransformParams")?;
            let number = match parameters.as_ref().and_then(Object::as_dictionary) {
                Some(parameters) => document.get(parameters, "P")?,
                None => None,
            };
            return Ok(Some(match number {
                None => Self::FillIn,
                Some(number) => number.as_integer().and_then(Self::from_number).unwrap_or(Self::NoChanges),
            }));
        }
        Ok(None)
    }
}

const MOST_REFERENCES: usize = 16;

/// What the certification of a document allows, if it has one (`/Perms /DocMDP`, section 12.8.6).
///
/// # Errors
/// The document is damaged.
pub fn of_document(document: &Document) -> Result<Option<Permission>, PdfError> {
    let (_, catalog) = document.catalog()?;
    let Some(Object::Dictionary(permissions)) = document.get(&catalog, "Perms")? else { return Ok(None) };
    let Some(Object::Dictionary(signature)) = document.get(&permissions, "DocMDP")? else {
        return Ok(None);
    };
    Ok(Some(Permission::of_signature(document, &signature)?.unwrap_or(Permission::FillIn)))
}
