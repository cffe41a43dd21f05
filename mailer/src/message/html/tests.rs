use super::*;

fn text(html: &str) -> String {
    html_to_text(html, 1 << 20, false)
}

#[test]
fn what_a_browser_shows_is_shown() {
    for (html, wanted) in [
        ("<p>one\n two</p><p>three</p>", "one two\n\nthree\n\n"),
        ("a<br>b<br/>c", "a\nb\nc"),
        (
            "<b>bo</b>ld &amp; &lt;b&gt; &#8364;&#x20ac; &#146; &nosuch; &",
            "bold & <b> €€ \u{2019} &nosuch; &",
        ),
        ("<ul><li>x<li>y</ul>z", "- x\n- y\nz"),
        ("<pre>a\n  b</pre>c", "a\n  b\nc"),
        ("<table><tr><td>a<td>b</tr><tr><td>c</table>", "a b\nc\n"),
        ("1 < 2 and 3 <4 <", "1 < 2 and 3 <4 <"),
        ("<!doctype html><title>no</title><noscript>yes</noscript>", "yes"),
        ("<a href='http://x/y'>link</a>", "link <http://x/y>"),
        (
            "<a href=http://x/>http://x</a> <a href=mailto:a@x>a@x</a> <a href=javascript:x>z</a>",
            "http://x a@x z",
        ),
        ("<img src=http://t/ alt='a cat'><img src=http://t/>", "[a cat]"),
        ("<style>p{color:red}</style><textarea>t</textarea>", "t\n"),
        ("<script>if (a</b) x('</p>')</script>ok", "ok"),
        ("a<!-- x --><!--><!--->b", "ab"),
        ("<td style='background:#00f'><span style='color:#fff'>button</span></td>", "button"),
    ] {
        assert_eq!(text(html), wanted, "{html}");
    }
}

#[test]
fn what_the_sender_hides_is_not_shown() {
    for hidden in [
        "<span style='display:none'>SECRET</span>",
        "<span STYLE=\"DISPLAY : none !important\">SECRET</span>",
        "<div style='color:red;display&#58;none'><b>SECRET</b></div>",
        "<p hidden>SECRET<p>",
        "<p style='visibility:hidden'>SECRET</p>",
        "<font style='font-size:0'>SECRET</font>",
        "<font style='font-size:1px'>SECRET</font>",
        "<i style='opacity:0'>SECRET</i>",
        "<i style='color:#fff'>SECRET</i>",
        "<font color=white>SECRET</font>",
        "<table bgcolor='#ff0000'><tr><td style='color:rgb(255, 0, 0)'>SECRET</table>",
        "<i style='color:transparent'>SECRET</i>",
        "<div style='position:absolute;left:-9999px'>SECRET</div>",
        "<div style='overflow:hidden;max-height:0px'>SECRET</div>",
        "<div style='mso-hide:all'>SECRET</div>",
        "<style>.x{display:none}</style><b class='y x'>SECRET</b>",
        "<style><!-- /* } */ b.x, #z { font-size : 0 } --></style><b id=Z>SECRET</b><b class=x>SECRET</b>",
        "<!-- SECRET -->",
        "<!-- SECRET --",
        "<head>SECRET</head>",
        "<script>SECRET</script>",
        "<style>SECRET</style>",
        "<template>SECRET</template>",
        "<iframe>SECRET</iframe>",
        "<title>SECRET</title>",
        "<svg><text>SECRET</text></svg>",
        "<img src='SECRET' title=SECRET>",
        "<b title='SECRET",
    ] {
        let shown = text(&format!("before {hidden}"));
        assert!(!shown.contains("SECRET") && shown.starts_with("before"), "{hidden}: {shown}");
    }
}

#[test]
fn what_stands_behind_something_hidden_is_shown() {
    for html in [
        "<span style='display:none'>SECRET</span>AFTER",
        "<p hidden>SECRET<p>AFTER",
        "<div><span style='display:none'>SECRET</div>AFTER",
        "<br style='display:none'>AFTER",
        "</span></div>AFTER",
        "<style>@media print{p{display:none}} @media screen { a{x:y} b{display:none} }</style><p>AFTER</p>",
        "<style>@import url(x);\np{display:block}</style><p>AFTER</p>",
    ] {
        let shown = text(html);
        assert!(shown.contains("AFTER") && !shown.contains("SECRET"), "{html}: {shown}");
    }
}

#[test]
fn a_style_that_cannot_be_judged_is_told() {
    let shown = text("<style>div > span {display:none}</style><div><span>words</span></div>");
    assert!(shown.contains("words") && shown.contains("hides parts"), "{shown}");
}

#[test]
fn a_legacy_display_is_left_out_where_that_is_asked() {
    let html = "<html><body><div class=\"header-protection-legacy-display\"><pre>Subject: x</pre></div><p>body</p></body></html>";
    assert_eq!(html_to_text(html, 1 << 20, true).trim(), "body");
    assert!(text(html).contains("Subject: x"));
}

#[test]
fn hostile_documents_end_soon_and_in_little_text() {
    let many = |piece: &str| piece.repeat(400_000 / piece.len());
    for html in [
        many("<div>"),
        many("<"),
        many("<!--"),
        many("<a href='"),
        many("<script>"),
        many("</"),
        many("&"),
        many("<b style=\"display:none\">"),
        many("<style>a{}</style>"),
        format!("<style>{}</style>{}", many(".a{display:none}"), many("<b class=a>")),
        format!("<div class='{}'>", many("a ")),
        format!("<title>{}", many("</titl")),
        many("<br>"),
        many("<x y=z/>"),
    ] {
        let shown = text(&html);
        assert!(shown.len() <= html.len() + 100, "{:?}", html.chars().take(20).collect::<String>());
    }
    assert!(html_to_text(&many("word "), 1_000, false).len() <= 400_000);
    assert!(html_to_text(&many("<p>word "), 1_000, false).len() < 2_000);
}

proptest::proptest! {
    #[test]
    fn nothing_panics(html: String, pieces in proptest::collection::vec("<[a-z!/-]{0,6}|[ =\"'>&;#:.]{0,4}|style|display:none|é", 0..40)) {
        let _ = text(&html);
        let _ = text(&pieces.concat());
    }
}
