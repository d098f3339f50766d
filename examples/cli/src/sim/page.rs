//! A report as one page that stands alone: text, tables and drawings in a single file, with no script in it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::sim::chart::Chart;

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; } th { text-align: left; font-weight: 600; }
td, th { padding: .2rem 1.2rem .2rem 0; vertical-align: top; border-bottom: 1px solid #ddd; }
table.rows th { white-space: nowrap; }
table.numbers { font-size: .9rem; } table.numbers td:first-child { white-space: nowrap; } table.numbers th { vertical-align: bottom; }
.number { text-align: right; font-variant-numeric: tabular-nums; } th.number { min-width: 3rem; }
figure { margin: 1rem 0; } figure svg { width: 100%; height: auto; }
figcaption, .note { color: #555; font-size: .9rem; }
.bad { color: #b00020; font-weight: 600; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; }
";

/// What stands on the page, from top to bottom.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// What it is, in a sentence or two.
    pub(crate) lead: String,
    /// What must not be overlooked.
    pub(crate) warnings: Vec<String>,
    pub(crate) sections: Vec<Section>,
}

#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug)]
pub(crate) enum Block {
    /// Labels and values.
    Rows(Vec<(String, String)>),
    /// A heading for each column, then the rows; all but the first column are numbers.
    Table(Vec<&'static str>, Vec<Vec<String>>),
    /// A drawing, and what it shows.
    Figure(Chart, String),
    /// A file as it is.
    Listing(String),
}

impl Page {
    pub(crate) fn render(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.title) }
                    p { (self.lead) }
                    @for warning in &self.warnings { p.bad { (warning) } }
                    @for section in &self.sections {
                        h2 { (section.title) }
                        @for block in &section.blocks { (block.render()) }
                    }
                }
            }
        };
        page.into_string()
    }
}

impl Block {
    fn render(&self) -> Markup {
        match self {
            Self::Rows(rows) => html! {
                table.rows { @for (label, value) in rows { tr { th { (label) } td { (value) } } } }
            },
            Self::Table(heads, rows) => html! {
                table.numbers {
                    tr { @for (at, head) in heads.iter().enumerate() { th.number[at > 0] { (head) } } }
                    @for row in rows {
                        tr { @for (at, cell) in row.iter().enumerate() { td.number[at > 0] { (cell) } } }
                    }
                }
            },
            Self::Figure(chart, note) => html! {
                figure { (PreEscaped(chart.svg())) figcaption { (note) } }
            },
            Self::Listing(text) => html! { pre { (text) } },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stands_alone_and_shows_text_as_text() {
        let rows = Block::Rows(vec![("seed".to_owned(), "<script>".to_owned())]);
        let section = Section { title: "Results", blocks: vec![rows, Block::Listing("a < b".to_owned())] };
        let page = Page {
            title: "A & B".to_owned(),
            lead: String::new(),
            warnings: vec!["Look!".to_owned()],
            sections: vec![section],
        };
        let html = page.render();
        for text in ["<title>A &amp; B</title>", "&lt;script&gt;", "a &lt; b", "Results", "Look!"] {
            assert!(html.contains(text), "{text} in {html}");
        }
        for text in ["<script", "http:", "https:", "src="] {
            assert!(!html.contains(text), "{text}");
        }
    }
}
