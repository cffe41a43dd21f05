//! The page of a PIN letter (A4), to be folded in three so that the PIN lies inside.
//!
//! ```text
//! ┌──────────────────────────┐
//! │ organisation, day        │  who gets it: outside once folded
//! │ name, mail address, card │
//! ├┄┄┄┄┄┄┄┄┄┄ fold ┄┄┄┄┄┄┄┄┄┄┤
//! │ the PIN                  │  inside
//! ├┄┄┄┄┄┄┄┄┄┄ fold ┄┄┄┄┄┄┄┄┄┄┤
//! │ what to do with it       │  folded over it
//! └──────────────────────────┘
//! ```
//!
//! Fonts are those that every PDF reader has: Helvetica and Courier, and for names and lines in other scripts the
//! predefined Chinese font STSong-Light (ISO 32000-2 section 9.7.5.2), which readers replace by one of theirs.

use pdf_writer::types::{CidFontType, SystemInfo};
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use zeroize::Zeroizing;

/// What stands in a letter.
pub(super) struct Page<'a> {
    /// Who sends it.
    pub(super) organization: &'a str,
    /// Who gets it.
    pub(super) name: &'a str,
    /// The holder's mail address.
    pub(super) mail: &'a str,
    /// What the card is known by: `serial 12345678`.
    pub(super) card: &'a str,
    /// When it was written, `2026-11-30`.
    pub(super) day: &'a str,
}

const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const LEFT: f32 = 72.0;
const UPPER_FOLD: f32 = HEIGHT * 2.0 / 3.0;
const LOWER_FOLD: f32 = HEIGHT / 3.0;

const HELVETICA: Name<'_> = Name(b"F1");
const COURIER: Name<'_> = Name(b"F2");
const CHINESE: Name<'_> = Name(b"F3");

impl Page<'_> {
    /// The page with this PIN.
    pub(super) fn to_pdf(&self, pin: &str) -> Zeroizing<Vec<u8>> {
        let mut references = (1..).map(Ref::new);
        let mut next = move || references.next().unwrap_or(Ref::new(1));
        let [catalog, tree, page, content, helvetica, courier, chinese, cid, descriptor] =
            std::array::from_fn(|_| next());
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree).lang(TextStr("en"));
        pdf.pages(tree).kids([page]).count(1);
        let mut sheet = pdf.page(page);
        sheet.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(content);
        let mut resources = sheet.resources();
        resources.fonts().pair(HELVETICA, helvetica).pair(COURIER, courier).pair(CHINESE, chinese);
        resources.finish();
        sheet.finish();
        pdf.stream(content, &self.drawing(pin));
        pdf.type1_font(helvetica).base_font(Name(b"Helvetica")).encoding_predefined(Name(b"WinAnsiEncoding"));
        pdf.type1_font(courier).base_font(Name(b"Courier-Bold"));
        chinese_font(&mut pdf, (chinese, cid, descriptor));
        Zeroizing::new(pdf.finish())
    }

    fn drawing(&self, pin: &str) -> Zeroizing<Vec<u8>> {
        let mut page = Drawing { content: Content::new() };
        page.text(LEFT, 772.0, 11.0, self.organization);
        page.text(430.0, 772.0, 11.0, self.day);
        page.text(LEFT, 680.0, 16.0, self.name);
        page.text(LEFT, 660.0, 11.0, self.mail);
        page.text(
            LEFT,
            600.0,
            9.0,
            &format!("PIN of the card with {}. To be opened by its holder alone.", self.card),
        );
        page.text(LEFT, 586.0, 9.0, "卡片密码，仅限本人拆阅。");
        page.fold(UPPER_FOLD);
        page.text(LEFT, 500.0, 11.0, "Your transport PIN / 您的初始密码");
        page.frame(LEFT, 400.0, WIDTH - 2.0 * LEFT, 72.0);
        page.pin(LEFT + 24.0, 424.0, pin);
        page.text(
            LEFT,
            360.0,
            9.0,
            "Change it before the first use: until then nothing is signed with the card.",
        );
        page.text(LEFT, 346.0, 9.0, "首次使用前请先修改密码，否则该卡不能用于签名。");
        page.fold(LOWER_FOLD);
        page.text(LEFT, 240.0, 11.0, "Change it: put the card into a reader and run");
        page.command(LEFT, 220.0, "card change-pin");
        page.text(LEFT, 192.0, 9.0, "Choose 6 to 8 digits that nobody can guess. Three wrong PINs block the card; the desk unblocks it.");
        page.text(LEFT, 178.0, 9.0, "Destroy this letter when it is done. If it was open when it reached you, tell the desk and do not use the card.");
        page.text(
            LEFT,
            156.0,
            9.0,
            "新密码为六至八位数字。修改后请销毁此信；若信件已被拆开，请立即告知发卡处。",
        );
        Zeroizing::new(page.content.finish().to_vec())
    }
}

/// The page as it is drawn.
struct Drawing {
    content: Content,
}

impl Drawing {
    /// A line of text, in Helvetica if that has every character.
    fn text(&mut self, x: f32, y: f32, size: f32, text: &str) {
        let plain: Option<Vec<u8>> = text.chars().map(latin).collect();
        match plain {
            Some(bytes) => self.show(HELVETICA, (x, y), size, &bytes),
            None => {
                let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
                self.show(CHINESE, (x, y), size, &wide);
            }
        }
    }

    fn command(&mut self, x: f32, y: f32, text: &str) {
        self.show(COURIER, (x, y), 12.0, text.as_bytes());
    }

    /// Large, and in groups of four: it is read once, and typed.
    fn pin(&mut self, x: f32, y: f32, pin: &str) {
        let spaced: Zeroizing<String> = Zeroizing::new(
            pin.chars()
                .enumerate()
                .flat_map(|(index, digit)| {
                    (index > 0 && index % 4 == 0).then_some(' ').into_iter().chain([digit])
                })
                .collect(),
        );
        self.show(COURIER, (x, y), 32.0, spaced.as_bytes());
    }

    fn show(&mut self, font: Name<'_>, (x, y): (f32, f32), size: f32, bytes: &[u8]) {
        self.content.begin_text();
        self.content.set_font(font, size);
        self.content.next_line(x, y);
        self.content.show(Str(bytes));
        self.content.end_text();
    }

    fn fold(&mut self, y: f32) {
        self.content.save_state();
        self.content.set_line_width(0.5);
        self.content.set_dash_pattern([4.0, 4.0], 0.0);
        self.content.move_to(18.0, y).line_to(WIDTH - 18.0, y).stroke();
        self.content.restore_state();
    }

    fn frame(&mut self, x: f32, y: f32, width: f32, height: f32) {
        self.content.set_line_width(1.0);
        self.content.rect(x, y, width, height).stroke();
    }
}

/// The byte of a character in WinAnsiEncoding, where it is that of Latin-1.
fn latin(character: char) -> Option<u8> {
    u8::try_from(u32::from(character)).ok().filter(|byte| matches!(byte, 0x20..=0x7E | 0xA1..=0xFF))
}

fn chinese_font(pdf: &mut Pdf, (font, cid, descriptor): (Ref, Ref, Ref)) {
    const BASE: Name<'_> = Name(b"STSong-Light");
    pdf.type0_font(font).base_font(BASE).encoding_predefined(Name(b"UniGB-UTF16-H")).descendant_font(cid);
    pdf.cid_font(cid)
        .subtype(CidFontType::Type0)
        .base_font(BASE)
        .system_info(SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"GB1"), supplement: 4 })
        .font_descriptor(descriptor)
        .default_width(1000.0)
        // Letters and digits are half as wide as characters.
        .widths()
        .same(1, 95, 500.0);
    pdf.font_descriptor(descriptor)
        .name(BASE)
        .flags(pdf_writer::types::FontFlags::SYMBOLIC)
        .bbox(Rect::new(-25.0, -254.0, 1000.0, 880.0))
        .italic_angle(0.0)
        .ascent(880.0)
        .descent(-120.0)
        .cap_height(880.0)
        .stem_v(93.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_a_page_with_the_pin_in_groups() {
        let letter = Page {
            organization: "Example Org",
            name: "Jürgen Groß",
            mail: "juergen@example.org",
            card: "serial 4711",
            day: "2026-11-30",
        };
        let pdf = letter.to_pdf("24680135");
        let text = String::from_utf8_lossy(&pdf);
        assert!(text.starts_with("%PDF-") && text.contains("2468 0135") && text.contains("/Count 1"));
    }

    #[test]
    fn a_name_in_another_script_is_shown_in_it() {
        assert_eq!(latin('ü'), Some(0xFC));
        assert_eq!((latin('李'), latin('\u{85}')), (None, None));
    }
}
