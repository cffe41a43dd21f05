//! The page tree (ISO 32000-2 section 7.7.3), walked as far as it is asked for.
use std::collections::HashSet;

use super::document::Document;
use super::error::PdfError;
use super::object::{Dictionary, Object, Reference};

/// How deep the tree may be.
const MOST_LEVELS: usize = 64;

/// The pages of a document, in order; it ends after the first error.
pub struct Pages<'d> {
    document: &'d Document,
    /// Children that are still to be visited, the next one last.
    levels: Vec<Vec<Reference>>,
    nodes: HashSet<Reference>,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Fresh,
    Walking,
    Ended,
}

impl<'d> Pages<'d> {
    pub(super) fn new(document: &'d Document) -> Self {
        Self { document, levels: Vec::new(), nodes: HashSet::new(), state: State::Fresh }
    }

    fn start(&mut self) -> Result<(), PdfError> {
        let (catalog, dictionary) = self.document.catalog()?;
        match dictionary.get("Pages") {
            Some(Object::Reference(root)) => {
                self.levels.push(vec![*root]);
                Ok(())
            }
            _ => Err(self.document.damaged(catalog, "is the catalog and refers to no pages")),
        }
    }

    fn step(&mut self) -> Result<Option<Reference>, PdfError> {
        if self.state == State::Fresh {
            self.state = State::Walking;
            self.start()?;
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(next) = level.pop() else {
                self.levels.pop();
                continue;
            };
            let Object::Dictionary(node) = self.document.object(next)? else {
                return Err(self.document.damaged(next, "should be a page and is no dictionary"));
            };
            if node.get("Kids").is_none() {
                return Ok(Some(next));
            }
            self.enter(next, &node)?;
        }
        Ok(None)
    }

    fn enter(&mut self, reference: Reference, node: &Dictionary) -> Result<(), PdfError> {
        if !self.nodes.insert(reference) {
            return Err(self.document.damaged(reference, "stands twice in the page tree"));
        }
        if self.levels.len() >= MOST_LEVELS {
            let at = self.document.place(reference.number);
            return Err(PdfError::TooDeep { at, what: "the page tree", most: MOST_LEVELS });
        }
        let Some(Object::Array(kids)) = self.document.get(node, "Kids")? else {
            return Err(self.document.damaged(reference, "has /Kids that is no array"));
        };
        let kids: Option<Vec<Reference>> = kids.iter().rev().map(Object::as_reference).collect();
        let wrong = || self.document.damaged(reference, "has something in /Kids that is no reference");
        self.levels.push(kids.ok_or_else(wrong)?);
        Ok(())
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Reference, PdfError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.state = State::Ended;
        }
        step.transpose()
    }
}

impl Document {
    /// An attribute of a page, which it may inherit: Resources, MediaBox, CropBox, Rotate (section 7.7.3.4).
    ///
    /// # Errors
    /// A node of the page tree is damaged, or the tree is deeper than any honest one.
    pub fn page_attribute(&self, page: Reference, key: &str) -> Result<Option<Object>, PdfError> {
        let mut next = page;
        for _ in 0..MOST_LEVELS {
            let Object::Dictionary(node) = self.object(next)? else {
                return Err(self.damaged(next, "should be in the page tree and is no dictionary"));
            };
            if let Some(value) = self.get(&node, key)? {
                return Ok(Some(value));
            }
            match node.get("Parent") {
                Some(Object::Reference(parent)) => next = *parent,
                _ => return Ok(None),
            }
        }
        Err(PdfError::TooDeep { at: self.place(page.number), what: "the page tree", most: MOST_LEVELS })
    }

    /// An object that is not what it should be.
    fn damaged(&self, reference: Reference, what: &str) -> PdfError {
        PdfError::damaged(self.place(reference.number), format!("{reference} {what}"))
    }
}
