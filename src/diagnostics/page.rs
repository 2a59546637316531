//! The one page for reports and for what is live, without anything from elsewhere.

/// Where the parts of a report stand; the live page has another word here.
const MODE: &str = "{{mode}}";

fn page(mode: &str) -> String {
    include_str!("page/page.html")
        .replace("{{style}}", include_str!("page/page.css"))
        .replace("{{script}}", include_str!("page/page.js"))
        .replace(MODE, mode)
}

/// The beginning of a report. It is a page by itself, and [parts](part) may follow.
pub(super) fn of_report() -> String {
    page("report")
}

/// The page that asks for parts while it is shown.
#[cfg(feature = "diagnostics")]
pub(super) fn live() -> String {
    page("live")
}

/// A part of what a report shows. `json` holds no `<`.
pub(super) fn part(json: &str) -> String {
    format!("<script type=\"application/json\" class=\"part\">{json}</script>\n")
}
