//! PDF files of chosen sizes, made here: nothing in them can be guessed, compressed or skipped.
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Result;

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A page with an attachment of so many octets.
    Attachment(u64),
    /// So many pages, all children of one node.
    Pages(u32),
}

/// Writes such a file.
pub(super) fn write(path: &Path, kind: Kind) -> Result<()> {
    let mut pdf = Pdf::new(path)?;
    match kind {
        Kind::Attachment(octets) => {
            pdf.object("<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(data) 4 0 R]>>>>>>")?;
            pdf.object("<</Type/Pages/Count 1/Kids[3 0 R]>>")?;
            pdf.object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>")?;
            pdf.object("<</Type/Filespec/F(data)/UF(data)/EF<</F 5 0 R>>>>")?;
            pdf.attachment(octets)?;
        }
        Kind::Pages(pages) => {
            let kids: String = (0..pages).map(|page| format!("{} 0 R ", page + 3)).collect();
            pdf.object("<</Type/Catalog/Pages 2 0 R>>")?;
            pdf.object(&format!("<</Type/Pages/Count {pages}/Kids[{kids}]>>"))?;
            for _ in 0..pages {
                pdf.object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>")?;
            }
        }
    }
    Ok(pdf.finish()?)
}

struct Pdf {
    out: BufWriter<File>,
    at: u64,
    offsets: Vec<u64>,
}

impl Pdf {
    fn new(path: &Path) -> io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let mut pdf = Self { out, at: 0, offsets: Vec::new() };
        pdf.write(b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n")?;
        Ok(pdf)
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.at += octets.len() as u64;
        self.out.write_all(octets)
    }

    fn object(&mut self, text: &str) -> io::Result<()> {
        self.offsets.push(self.at);
        self.write(format!("{} 0 obj\n{text}\nendobj\n", self.offsets.len()).as_bytes())
    }

    fn attachment(&mut self, octets: u64) -> io::Result<()> {
        self.offsets.push(self.at);
        let number = self.offsets.len();
        self.write(format!("{number} 0 obj\n<</Type/EmbeddedFile/Length {octets}>>\nstream\n").as_bytes())?;
        // xorshift64: the same octets in every run.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..octets.div_ceil(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            self.write(&state.to_le_bytes())?;
        }
        self.write(b"\nendstream\nendobj\n")
    }

    fn finish(mut self) -> io::Result<()> {
        let (start, size) = (self.at, self.offsets.len() + 1);
        let mut table = format!("xref\n0 {size}\n0000000000 65535 f \n");
        for offset in &self.offsets {
            table += &format!("{offset:010} 00000 n \n");
        }
        table += &format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n");
        self.write(table.as_bytes())?;
        self.out.flush()
    }
}
