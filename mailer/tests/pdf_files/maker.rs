//! Files written by hand, octet by octet: what no writer of ours would write.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test program uses its part"
)]
use std::collections::BTreeMap;
use std::io::Write;

/// A file in the making. Objects that were added since the last section go into the next.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) octets: Vec<u8>,
    /// Offset and generation of objects that no section has yet.
    pub(crate) pending: BTreeMap<u32, (usize, u16)>,
    pub(crate) previous: Option<usize>,
    line: &'static str,
    size: u32,
}

impl Maker {
    pub(crate) fn new() -> Self {
        Self::with_line_ends("\n")
    }

    pub(crate) fn with_line_ends(line: &'static str) -> Self {
        let octets =
            [b"%PDF-1.5".as_slice(), line.as_bytes(), b"%\xE2\xE3\xCF\xD3", line.as_bytes()].concat();
        Self { octets, pending: BTreeMap::new(), previous: None, line, size: 1 }
    }

    pub(crate) fn raw(&mut self, octets: impl AsRef<[u8]>) -> &mut Self {
        self.octets.extend_from_slice(octets.as_ref());
        self
    }

    fn line(&mut self, text: &str) -> &mut Self {
        let line = self.line;
        self.raw(text).raw(line)
    }

    pub(crate) fn object(&mut self, number: u32, body: &str) -> &mut Self {
        self.generation(number, 0, body)
    }

    pub(crate) fn generation(&mut self, number: u32, generation: u16, body: &str) -> &mut Self {
        self.note(number, generation);
        self.line(&format!("{number} {generation} obj")).line(body).line("endobj")
    }

    fn note(&mut self, number: u32, generation: u16) {
        self.pending.insert(number, (self.octets.len(), generation));
        self.size = self.size.max(number + 1);
    }

    /// A stream; `keys` has /Length or leaves it to us.
    pub(crate) fn stream(&mut self, number: u32, keys: &str, data: &[u8]) -> &mut Self {
        self.note(number, 0);
        let length = if keys.contains("/Length") { String::new() } else { format!("/Length {}", data.len()) };
        // The keyword is never followed by CR alone (section 7.3.8.1).
        let after = if self.line == "\r" { "\r\n" } else { self.line };
        self.line(&format!("{number} 0 obj")).line(&format!("<<{keys}{length}>>")).raw("stream").raw(after);
        self.raw(data).line("").line("endstream").line("endobj")
    }

    /// An object stream; its objects are known to whoever names them in a cross-reference stream.
    pub(crate) fn object_stream(&mut self, number: u32, keys: &str, objects: &[(u32, &str)]) -> &mut Self {
        let (mut header, mut bodies) = (String::new(), String::new());
        for (inner, body) in objects {
            header += &format!("{inner} {} ", bodies.len());
            bodies += &format!("{body}\n");
            self.size = self.size.max(inner + 1);
        }
        let keys =
            format!("/Type/ObjStm/N {}/First {}/Filter/FlateDecode{keys}", objects.len(), header.len());
        self.stream(number, &keys, &deflated((header + &bodies).as_bytes()))
    }

    /// A table of what is pending, with its trailer and the end of the file.
    pub(crate) fn table(&mut self, keys: &str) -> &mut Self {
        let start = self.octets.len();
        self.line("xref");
        let pending = std::mem::take(&mut self.pending);
        if self.previous.is_none() {
            self.line("0 1").raw("0000000000 65535 f\r\n");
        } else if pending.is_empty() {
            self.line("0 0");
        }
        for (number, (offset, generation)) in pending {
            self.line(&format!("{number} 1")).raw(format!("{offset:010} {generation:05} n\r\n"));
        }
        self.trailer(keys).end(start)
    }

    fn trailer(&mut self, keys: &str) -> &mut Self {
        let prev = self.previous.map_or(String::new(), |at| format!("/Prev {at}"));
        let size = if keys.contains("/Size") { String::new() } else { format!("/Size {}", self.size) };
        self.line("trailer").line(&format!("<<{keys}{size}{prev}>>"))
    }

    /// `startxref` and `%%EOF`.
    pub(crate) fn end(&mut self, start: usize) -> &mut Self {
        self.previous = Some(start);
        self.line("startxref").line(&start.to_string()).line("%%EOF")
    }

    /// The rows of a cross-reference stream of what is pending and of what is packed: number, object stream, position.
    fn rows(&mut self, packed: &[(u32, u32, u32)]) -> (String, Vec<u8>) {
        let plain = std::mem::take(&mut self.pending);
        let mut all: BTreeMap<u32, [u64; 3]> = plain
            .iter()
            .map(|(number, (offset, generation))| (*number, [1, *offset as u64, u64::from(*generation)]))
            .collect();
        all.extend(
            packed
                .iter()
                .map(|(number, stream, index)| (*number, [2, u64::from(*stream), u64::from(*index)])),
        );
        let index: String = all.keys().map(|number| format!("{number} 1 ")).collect();
        let mut rows = Vec::new();
        for [kind, place, detail] in all.values() {
            rows.extend(&kind.to_be_bytes()[7..]);
            rows.extend(&place.to_be_bytes()[4..]);
            rows.extend(&detail.to_be_bytes()[6..]);
        }
        (format!("/Type/XRef/W[1 4 2]/Index[{index}]"), rows)
    }

    /// A cross-reference stream, compressed with PNG predictors, and the end of the file.
    pub(crate) fn cross_reference_stream(
        &mut self,
        number: u32,
        keys: &str,
        packed: &[(u32, u32, u32)],
    ) -> &mut Self {
        let start = self.octets.len();
        self.hidden_section(number, keys, packed);
        self.end(start)
    }

    /// The same without the end of the file.
    pub(crate) fn hidden_section(
        &mut self,
        number: u32,
        keys: &str,
        packed: &[(u32, u32, u32)],
    ) -> &mut Self {
        self.note(number, 0);
        let (own_keys, rows) = self.rows(packed);
        let prev = self.previous.map_or(String::new(), |at| format!("/Prev {at}"));
        let size = if keys.contains("/Size") { String::new() } else { format!("/Size {}", self.size) };
        let predictor = "/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 7>>";
        let keys = format!("{own_keys}{keys}{size}{prev}{predictor}");
        self.stream(number, &keys, &deflated(&up(&rows, 7)));
        self.pending.remove(&number);
        self
    }
}

/// Rows with the PNG filter Up.
fn up(rows: &[u8], columns: usize) -> Vec<u8> {
    let mut previous = vec![0; columns];
    let mut out = Vec::new();
    for row in rows.chunks(columns) {
        out.push(2);
        out.extend(row.iter().zip(&previous).map(|(octet, above)| octet.wrapping_sub(*above)));
        previous = row.to_vec();
    }
    out
}

pub(crate) fn deflated(octets: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

/// What the pages show; its length is an object of its own.
pub(crate) const TEXT: &[u8] = b"BT /F1 24 Tf 72 720 Td (Official notice) Tj ET";

/// Objects 1 to 9: three pages in two levels, which inherit what they look like.
pub(crate) const PAGES: [(u32, &str); 8] = [
    (1, "<</Type/Catalog/Pages 2 0 R>>"),
    (2, "<</Type/Pages/Kids[3 0 R 6 0 R]/Count 3/MediaBox[0 0 595.5 842]/Resources<</Font<</F1 9 0 R>>>>>>"),
    (3, "<</Type/Pages/Parent 2 0 R/Kids[4 0 R 5 0 R]/Count 2/Rotate 90>>"),
    (4, "<</Type/Page/Parent 3 0 R/Contents 7 0 R>>"),
    (5, "<</Type/Page/Parent 3 0 R/Contents 7 0 R/Rotate 0/MediaBox[0 0 100 100]>>"),
    (6, "<</Type/Page/Parent 2 0 R/Contents[7 0 R]>>"),
    (8, "46"),
    (9, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"),
];
pub(crate) const ROOT: &str = "/Root 1 0 R/ID[<00112233><44556677>]";

/// The pages as plain objects, without a section.
pub(crate) fn pages(line: &'static str) -> Maker {
    let mut maker = Maker::with_line_ends(line);
    for (number, body) in PAGES {
        maker.object(number, body);
    }
    maker.stream(7, "/Length 8 0 R", TEXT);
    maker
}

/// The same with a table.
pub(crate) fn plain() -> Vec<u8> {
    pages("\n").table(ROOT).octets.clone()
}

/// The same in two object streams, of which the second extends the first.
pub(crate) fn packed() -> Vec<u8> {
    let mut maker = Maker::new();
    maker.stream(7, "/Length 8 0 R", TEXT);
    maker.object_stream(20, "", &PAGES[..4]);
    maker.object_stream(21, "/Extends 20 0 R", &PAGES[4..]);
    let places: Vec<(u32, u32, u32)> = PAGES
        .iter()
        .zip(0..)
        .map(|((number, _), position)| (*number, 20 + position / 4, position % 4))
        .collect();
    maker.cross_reference_stream(22, ROOT, &places).octets.clone()
}

/// A hybrid file (section 7.5.8.4): the font and a note are hidden from readers that know tables only.
pub(crate) fn hybrid() -> Vec<u8> {
    let mut maker = pages("\n");
    maker.object_stream(20, "", &[(10, "(hidden)"), (11, "[1 2 3]")]);
    let visible = std::mem::take(&mut maker.pending);
    let hidden = maker.octets.len();
    maker.hidden_section(21, ROOT, &[(10, 20, 0), (11, 20, 1)]);
    maker.pending = visible;
    // Hidden objects are free in the table.
    let start = maker.octets.len();
    let mut table = String::from("xref\n0 1\n0000000010 65535 f\r\n");
    for (number, (offset, _)) in &maker.pending {
        table += &format!("{number} 1\n{offset:010} 00000 n\r\n");
    }
    table += "10 2\n0000000011 00000 f\r\n0000000000 00000 f\r\n";
    maker.raw(format!("{table}trailer\n<<{ROOT}/Size 22/XRefStm {hidden}>>\n"));
    maker.pending.clear();
    maker.end(start).octets.clone()
}

/// A note, object 10, changed in each of so many updates.
pub(crate) fn updated(updates: usize) -> Maker {
    let mut maker = pages("\n");
    maker.object(10, "(state 0)").table(ROOT);
    for update in 1..=updates {
        maker.object(10, &format!("(state {update})"));
        // Tables and streams in turn.
        if update % 2 == 0 {
            maker.table(ROOT);
        } else {
            maker.cross_reference_stream(30, ROOT, &[]);
        }
    }
    maker
}
