//! A chart as an SVG drawing: the same values give the same octets.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

/// Pixels of a drawing. The text in it is set by whoever shows it, so that lines of text need some room to spare.
const SIZE: (u32, u32) = (760, 400);

/// Colours that people with any kind of colour vision tell apart (Okabe and Ito, "Color Universal Design", 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// What is drawn: lines over two axes.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    /// Where the names of the lines stand.
    pub(crate) names: Corner,
}

/// The part of a chart where its lines leave room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
}

impl From<Corner> for SeriesLabelPosition {
    fn from(corner: Corner) -> Self {
        match corner {
            Corner::TopLeft => Self::UpperLeft,
            Corner::TopRight => Self::UpperRight,
            Corner::BottomLeft => Self::LowerLeft,
            Corner::BottomRight => Self::LowerRight,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Axis {
    /// What it counts, with its unit.
    pub(crate) label: &'static str,
    /// From and to; what the lines need, if it is not given.
    pub(crate) range: Option<(f64, f64)>,
    /// Each step is a multiple instead of a sum. What is not above zero cannot be shown then.
    pub(crate) logarithmic: bool,
    /// What it counts comes in whole numbers: none is named between them.
    pub(crate) whole: bool,
}

impl Axis {
    pub(crate) const fn new(label: &'static str) -> Self {
        Self { label, range: None, logarithmic: false, whole: false }
    }

    pub(crate) const fn between(self, from: f64, to: f64) -> Self {
        Self { range: Some((from, to)), ..self }
    }

    pub(crate) const fn logarithmic(self) -> Self {
        Self { logarithmic: true, ..self }
    }

    pub(crate) const fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// How many values are named at most: of an axis of multiples, all digits of its decades.
    const fn labels(&self) -> usize {
        if self.logarithmic { 40 } else { 11 }
    }

    /// What stands at a value. On an axis of multiples, the steps above the half of each decade are too close for text.
    fn label_at(&self, value: f64) -> String {
        let leading = format!("{value:e}");
        let is_close = self.logarithmic && leading.starts_with(['4', '6', '7', '8', '9']);
        let is_part = self.whole && value.fract().abs() > 1e-6;
        if is_close || is_part { String::new() } else { number(value) }
    }

    /// From where to where it goes, for these values.
    fn extent(&self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        if let Some(range) = self.range {
            return range;
        }
        let shown = values.filter(|value| value.is_finite() && (!self.logarithmic || *value > 0.0));
        let (least, most) =
            shown.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        match (least > most, self.logarithmic) {
            (true, false) => (0.0, 1.0),
            (true, true) => (1.0, 10.0),
            // An axis of sums begins at zero: a line that looks twice as high is.
            (false, false) => (least.min(0.0), if most > least.min(0.0) { most * 1.05 } else { 1.0 }),
            (false, true) => (least / 1.2, most * 1.2),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Something to compare with rather than a result.
    pub(crate) is_reference: bool,
}

impl Line {
    pub(crate) fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect(), is_reference: false }
    }

    /// A level to compare with, from one end of the chart to the other.
    pub(crate) fn level(name: impl Into<String>, y: f64, from: f64, to: f64) -> Self {
        Self { name: name.into(), points: vec![(from, y), (to, y)], is_reference: true }
    }
}

type Error = DrawingAreaErrorKind<std::io::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Chart {
    /// The drawing, as one `svg` element.
    pub(crate) fn svg(&self) -> String {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let drawn = self.draw(&area);
        drop(area);
        // A drawing in memory has nothing that can fail but its own geometry.
        drawn.map_or_else(|error| format!("<!-- {error} -->"), |()| svg)
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), Error> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (from_x, to_x) = self.x.extent(points().map(|point| point.0));
        let (from_y, to_y) = self.y.extent(points().map(|point| point.1));
        let (x, y) = (from_x..to_x, from_y..to_y);
        match (self.x.logarithmic, self.y.logarithmic) {
            (false, false) => self.draw_over(area, x, y),
            (false, true) => self.draw_over(area, x, y.log_scale()),
            (true, false) => self.draw_over(area, x.log_scale(), y),
            (true, true) => self.draw_over(area, x.log_scale(), y.log_scale()),
        }
    }

    fn draw_over<X, Y>(&self, area: &Area<'_>, x: X, y: Y) -> Result<(), Error>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 17))
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(62)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .axis_style(BLACK.mix(0.5))
            .label_style(("sans-serif", 12))
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .x_labels(self.x.labels())
            .y_labels(self.y.labels())
            .x_label_formatter(&|value| self.x.label_at(*value))
            .y_label_formatter(&|value| self.y.label_at(*value))
            .draw()?;
        let mut colours = COLOURS.iter().cycle();
        for line in &self.lines {
            let style = if line.is_reference {
                BLACK.mix(0.45).stroke_width(1)
            } else {
                let colour = colours.next().unwrap_or(&BLACK);
                colour.stroke_width(2)
            };
            let shown = line.points.iter().copied().filter(|(x, y)| {
                (!self.x.logarithmic || *x > 0.0) && (!self.y.logarithmic || *y > 0.0) && y.is_finite()
            });
            if !line.is_reference && line.points.len() <= 24 {
                let dot = ShapeStyle { filled: true, ..style };
                chart.draw_series(shown.clone().map(|point| Circle::new(point, 3, dot)))?;
            }
            chart
                .draw_series(LineSeries::new(shown, style))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        if self.lines.len() > 1 {
            chart
                .configure_series_labels()
                .position(self.names.into())
                .label_font(("sans-serif", 12))
                .background_style(WHITE.mix(0.85))
                .border_style(BLACK.mix(0.2))
                .draw()?;
        }
        area.present()
    }
}

/// A number on an axis, as short as it can be.
fn number(value: f64) -> String {
    let rounded = if value.abs() >= 10.0 { value.round() } else { (value * 1e4).round() / 1e4 };
    let digits = format!("{rounded}");
    // Thousands apart, so that they are read at a glance.
    match digits.strip_prefix('-').unwrap_or(&digits).len() {
        5.. if !digits.contains('.') => {
            let mut grouped = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 && !grouped.ends_with('-') {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(x: Axis, y: Axis) -> Chart {
        let lines = vec![
            Line::new("first", [(1.0, 0.0), (2.0, 40.0), (3.0, 90.0)]),
            Line::new("second", [(1.0, 5.0), (3.0, f64::NAN)]),
            Line::level("wanted", 50.0, 1.0, 3.0),
        ];
        Chart { title: "Two & a <level>".to_owned(), x, y, lines, names: Corner::TopLeft }
    }

    #[test]
    fn every_line_is_named_and_what_is_written_is_escaped() {
        for (x, y) in [(false, false), (false, true), (true, false), (true, true)] {
            let axis = |label, logarithmic| Axis { logarithmic, ..Axis::new(label) };
            let svg = chart(axis("across", x), axis("up", y)).svg();
            for text in ["first", "second", "wanted", "across", "up", "Two &amp; a &lt;level&gt;", "<polyline"] {
                assert!(svg.contains(text), "{text} in {svg}");
            }
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        }
    }

    #[test]
    fn the_same_values_give_the_same_octets() {
        let svg = || chart(Axis::new("across").between(0.0, 5.0), Axis::new("up").logarithmic()).svg();
        assert_eq!(svg(), svg());
    }

    #[test]
    fn a_chart_without_a_point_is_an_empty_one() {
        let empty = Chart { lines: Vec::new(), ..chart(Axis::new("across"), Axis::new("up").logarithmic()) };
        assert!(empty.svg().contains("across"));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.0, "0"), (0.05, "0.05"), (12.4, "12"), (1_500.0, "1500"), (25_000.0, "25,000")] {
            assert_eq!(number(value), text);
        }
    }
}
