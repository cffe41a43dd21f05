//! lopdf reads the same objects as we do.
use mailer::documents::pdf::{Dictionary, Document, Name, Object, Reference};

use super::{objects, octets};

/// Says where the two readings of a file differ.
pub(crate) fn difference(file: &[u8], document: &Document) -> Option<String> {
    let judge = match lopdf::Document::load_mem(file) {
        Ok(judge) => judge,
        Err(problem) => return Some(format!("lopdf does not read it: {problem}")),
    };
    let ours = match objects(document) {
        Ok(ours) => ours,
        Err(problem) => return Some(problem.to_string()),
    };
    for ((number, generation), theirs) in &judge.objects {
        let reference = Reference { number: *number, generation: *generation };
        let own = document.object(reference).map(|object| ours_in_words(&object));
        let theirs = theirs_in_words(theirs);
        match own {
            Ok(own) if own == theirs => {}
            Ok(own) => return Some(format!("{reference}: {own}\nlopdf: {theirs}")),
            Err(problem) => return Some(format!("{reference}: {problem}")),
        }
    }
    let of_the_file = |object: &Object| {
        object
            .as_dictionary()
            .is_some_and(|dictionary| ["XRef", "ObjStm"].iter().any(|name| dictionary.is_type(name)))
    };
    let unknown = ours.iter().find(|(reference, object)| {
        let known = judge.objects.contains_key(&(reference.number, reference.generation));
        !known && !of_the_file(object)
    });
    unknown.map(|(reference, _)| format!("lopdf does not know {reference}"))
}

#[allow(clippy::cast_possible_truncation)]
fn ours_in_words(object: &Object) -> String {
    match object {
        Object::Null => "null".to_owned(),
        Object::Boolean(value) => value.to_string(),
        Object::Integer(value) => value.to_string(),
        Object::Real(value) => format!("{:.2}", value.value() as f32),
        Object::String(value) => format!("({})", hex::encode(value)),
        Object::Name(Name(value)) => format!("/{}", hex::encode(value)),
        Object::Array(elements) => {
            format!("[{}]", elements.iter().map(ours_in_words).collect::<Vec<_>>().join(" "))
        }
        Object::Dictionary(dictionary) => our_keys(dictionary),
        Object::Stream(stream) => {
            format!("{} {}", our_keys(&stream.dictionary), hex::encode(octets(&stream.data)))
        }
        Object::Reference(reference) => format!("{} {} R", reference.number, reference.generation),
    }
}

fn our_keys(dictionary: &Dictionary) -> String {
    in_words(dictionary.iter().map(|(key, value)| (key.0.clone(), ours_in_words(value))))
}

fn theirs_in_words(object: &lopdf::Object) -> String {
    use lopdf::Object as Theirs;
    match object {
        Theirs::Null => "null".to_owned(),
        Theirs::Boolean(value) => value.to_string(),
        Theirs::Integer(value) => value.to_string(),
        Theirs::Real(value) => format!("{value:.2}"),
        Theirs::String(value, _) => format!("({})", hex::encode(value)),
        Theirs::Name(value) => format!("/{}", hex::encode(value)),
        Theirs::Array(elements) => {
            format!("[{}]", elements.iter().map(theirs_in_words).collect::<Vec<_>>().join(" "))
        }
        Theirs::Dictionary(dictionary) => their_keys(dictionary),
        Theirs::Stream(stream) => format!("{} {}", their_keys(&stream.dict), hex::encode(&stream.content)),
        Theirs::Reference((number, generation)) => format!("{number} {generation} R"),
    }
}

fn their_keys(dictionary: &lopdf::Dictionary) -> String {
    in_words(dictionary.iter().map(|(key, value)| (key.clone(), theirs_in_words(value))))
}

/// In order; lengths are compared as the octets, and a key that is null is none.
fn in_words(keys: impl Iterator<Item = (Vec<u8>, String)>) -> String {
    let mut keys: Vec<String> = keys
        .filter(|(key, value)| key != b"Length" && value != "null")
        .map(|(key, value)| format!("/{} {value}", hex::encode(key)))
        .collect();
    keys.sort();
    format!("<<{}>>", keys.join(" "))
}
