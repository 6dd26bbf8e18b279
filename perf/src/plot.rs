//! Pictures of figures, for the page.

use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};

use crate::stats::Summary;
use crate::table::figure;

/// A picture that is not drawn yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Plot {
    /// Series over a size that doubles.
    Lines {
        /// What it shows.
        title: String,
        /// What grows to the right.
        x: String,
        /// What grows upwards, with its unit.
        y: String,
        /// The lines.
        series: Vec<Series>,
    },
    /// One bar for each of several things.
    Bars {
        /// What it shows.
        title: String,
        /// What the bars' lengths mean, with the unit.
        x: String,
        /// The bars, from the top.
        bars: Vec<(String, Summary)>,
    },
    /// A figure for each pair of things.
    HeatMap {
        /// What it shows, with the unit.
        title: String,
        /// The things, along both sides.
        labels: Vec<String>,
        /// By row; `None` where there is no figure.
        cells: Vec<Vec<Option<f64>>>,
    },
}

/// One line of a plot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// What was measured at which size.
    pub points: Vec<(f64, Summary)>,
}

/// Colours that differ also for who sees few: after Okabe and Ito.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(80, 80, 80),
];

const WIDTH: u32 = 760;
const FONT: &str = "sans-serif";
const SMALL: u32 = 14;

/// Why a picture could not be drawn, as plotters says it.
pub type Unfit = Box<dyn std::error::Error>;

impl Plot {
    /// Lines through points, each with the name of its line; lines stand in the order in which
    /// their names come first.
    pub fn lines(
        title: impl Into<String>,
        x: impl Into<String>,
        y: impl Into<String>,
        points: impl IntoIterator<Item = (String, f64, Summary)>,
    ) -> Self {
        let mut series: Vec<Series> = Vec::new();
        for (name, at, value) in points {
            match series.iter_mut().find(|known| known.name == name) {
                Some(known) => known.points.push((at, value)),
                None => series.push(Series {
                    name,
                    points: vec![(at, value)],
                }),
            }
        }
        Plot::Lines {
            title: title.into(),
            x: x.into(),
            y: y.into(),
            series,
        }
    }

    /// Bars from the top.
    pub fn bars(
        title: impl Into<String>,
        x: impl Into<String>,
        bars: impl IntoIterator<Item = (String, Summary)>,
    ) -> Self {
        Plot::Bars {
            title: title.into(),
            x: x.into(),
            bars: bars.into_iter().collect(),
        }
    }

    /// What it shows.
    pub fn title(&self) -> &str {
        match self {
            Plot::Lines { title, .. } | Plot::Bars { title, .. } | Plot::HeatMap { title, .. } => {
                title
            }
        }
    }

    /// The picture as an SVG element. `None` if there is nothing to draw.
    pub fn draw(&self) -> Result<Option<String>, Unfit> {
        let mut svg = String::new();
        let drawn = match self {
            Plot::Lines { x, y, series, .. } => lines(&mut svg, x, y, series)?,
            Plot::Bars { x, bars, .. } => self::bars(&mut svg, x, bars)?,
            Plot::HeatMap { labels, cells, .. } => heat_map(&mut svg, labels, cells)?,
        };
        Ok(drawn.then_some(svg))
    }
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut values = values.filter(|value| value.is_finite());
    let first = values.next()?;
    Some(values.fold((first, first), |(low, high), value| {
        (low.min(value), high.max(value))
    }))
}

fn lines(svg: &mut String, x: &str, y: &str, series: &[Series]) -> Result<bool, Unfit> {
    let points = || series.iter().flat_map(|series| &series.points);
    let across = extent(points().map(|(size, _)| *size));
    let up = extent(points().map(|(_, summary)| summary.max));
    let Some(((left, right), (_, top))) = across.zip(up) else {
        return Ok(false);
    };
    let area = SVGBackend::with_string(svg, (WIDTH, 340)).into_drawing_area();
    // Sizes double: the axis is their logarithm, and its marks are the sizes.
    let across = left.log2() - 0.2..right.log2() + 0.2;
    // Room for the names above the lines.
    let up = 0.0..top * (1.08 + 0.075 * series.len() as f64);
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(across, up)?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_labels((right / left).log2().round() as usize + 1)
        .x_label_formatter(&|exponent| size(exponent.exp2()))
        .y_label_formatter(&|value| figure(*value))
        .label_style((FONT, SMALL))
        .axis_desc_style((FONT, SMALL))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (number, series) in series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let finite = || {
            let points = series.points.iter();
            points.filter(|(_, summary)| summary.max.is_finite())
        };
        let middle = finite().map(|(size, summary)| (size.log2(), summary.median));
        chart
            .draw_series(LineSeries::new(middle, colour.stroke_width(2)))?
            .label(&series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(finite().map(|(size, summary)| {
            let Summary { median, min, max } = *summary;
            ErrorBar::new_vertical(size.log2(), min, median, max, colour.filled(), 6)
        }))?;
    }
    // Where the lines are lower.
    let highest_at = points()
        .filter(|(_, summary)| summary.max.is_finite())
        .max_by(|(_, one), (_, other)| one.median.total_cmp(&other.median))
        .map_or(left, |(size, _)| *size);
    let corner = match highest_at * highest_at < left * right {
        true => SeriesLabelPosition::UpperRight,
        false => SeriesLabelPosition::UpperLeft,
    };
    chart
        .configure_series_labels()
        .position(corner)
        .background_style(WHITE.mix(0.85))
        .border_style(TRANSPARENT)
        .label_font((FONT, SMALL))
        .draw()?;
    area.present()?;
    drop(chart);
    drop(area);
    Ok(true)
}

/// A size as people write it.
fn size(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["", "Ki", "Mi", "Gi"];
    let step = ((bytes.max(1.0).log2() / 10.0) as usize).min(UNITS.len() - 1);
    let number = bytes / 1024_f64.powi(step as i32);
    format!("{number:.0}{}", UNITS[step])
}

/// Positions of bars on an axis: numbers with words for labels.
struct Places<'a>(&'a [(String, Summary)]);

impl Places<'_> {
    fn label(&self, at: f64) -> String {
        let index = (self.0.len() as f64 - 1.0 - at).round();
        let exact = (at - at.round()).abs() < 0.01 && index >= 0.0;
        let bar = self.0.get(index as usize).filter(|_| exact);
        bar.map_or_else(String::new, |(name, _)| name.clone())
    }
}

fn bars(svg: &mut String, x: &str, bars: &[(String, Summary)]) -> Result<bool, Unfit> {
    let finite = || bars.iter().filter(|(_, summary)| summary.max.is_finite());
    let Some((low, high)) = extent(finite().flat_map(|(_, summary)| [summary.min, summary.max]))
    else {
        return Ok(false);
    };
    let height = 60 + 24 * u32::try_from(bars.len())?;
    let longest = bars.iter().map(|(name, _)| name.chars().count()).max();
    let room = 12 + 8 * u32::try_from(longest.unwrap_or(0))?;
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    let mut builder = ChartBuilder::on(&area);
    builder
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(room.min(WIDTH / 2));
    let up = -0.6..bars.len() as f64 - 0.4;
    // Over more than two orders of magnitude the short bars would be none.
    if low > 0.0 && high / low > 100.0 {
        let across = (low / 2.0..high * 1.5).log_scale();
        draw_bars(builder.build_cartesian_2d(across, up)?, x, bars, low / 2.0)?;
    } else {
        let across = 0.0..high * 1.05;
        draw_bars(builder.build_cartesian_2d(across, up)?, x, bars, 0.0)?;
    }
    area.present()?;
    drop(area);
    Ok(true)
}

fn draw_bars<'a, DB, X>(
    mut chart: ChartContext<'a, DB, Cartesian2d<X, RangedCoordf64>>,
    x: &str,
    bars: &[(String, Summary)],
    foot: f64,
) -> Result<(), Unfit>
where
    DB: DrawingBackend + 'a,
    DB::ErrorType: 'static,
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let places = Places(bars);
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc(x)
        .x_labels(8)
        .y_labels(bars.len() * 2)
        .x_label_formatter(&|value| figure(*value))
        .y_label_formatter(&|at| places.label(*at))
        .label_style((FONT, SMALL))
        .axis_desc_style((FONT, SMALL))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (index, (_, summary)) in bars.iter().enumerate() {
        if !summary.max.is_finite() {
            continue;
        }
        let at = (bars.len() - 1 - index) as f64;
        let corners = [(foot, at - 0.3), (summary.median, at + 0.3)];
        chart.draw_series([Rectangle::new(corners, COLOURS[0].mix(0.75).filled())])?;
        let whisker = [(summary.min, at), (summary.max, at)];
        chart.draw_series([PathElement::new(whisker, BLACK.stroke_width(1))])?;
    }
    Ok(())
}

fn heat_map(
    svg: &mut String,
    labels: &[String],
    cells: &[Vec<Option<f64>>],
) -> Result<bool, Unfit> {
    let figures = || cells.iter().flatten().flatten().copied();
    let Some((low, high)) = extent(figures()) else {
        return Ok(false);
    };
    const CELL: i32 = 56;
    let side = CELL * i32::try_from(labels.len())?;
    let (left, top) = (70, 30);
    let size = (
        u32::try_from(left + side + 10)?,
        u32::try_from(top + side + 10)?,
    );
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    let small = (FONT, SMALL).into_text_style(&area);
    let at = |index: usize| i32::try_from(index).map(|index| index * CELL);
    for (row, label) in labels.iter().enumerate() {
        area.draw_text(label, &small, (8, top + at(row)? + CELL / 2 - 7))?;
        area.draw_text(label, &small, (left + at(row)? + 6, 10))?;
    }
    for (row, line) in cells.iter().enumerate() {
        for (column, value) in line.iter().enumerate() {
            let (x, y) = (left + at(column)?, top + at(row)?);
            let corners = [(x, y), (x + CELL - 2, y + CELL - 2)];
            let Some(value) = value else {
                area.draw(&Rectangle::new(corners, RGBColor(235, 235, 235).filled()))?;
                continue;
            };
            // From white to the strongest blue, near to far.
            let share = (value - low) / (high - low).max(f64::MIN_POSITIVE);
            let fill = COLOURS[0].mix(0.15 + 0.75 * share);
            area.draw(&Rectangle::new(corners, fill.filled()))?;
            let ink = if share > 0.6 { WHITE } else { BLACK };
            let style = small.color(&ink);
            area.draw_text(&figure(*value), &style, (x + 10, y + CELL / 2 - 8))?;
        }
    }
    area.present()?;
    drop(area);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::says;

    fn about(median: f64) -> Summary {
        Summary {
            median,
            min: median * 0.9,
            max: median * 1.2,
        }
    }

    #[test]
    fn every_kind_is_drawn_with_its_words() {
        let points = [(4096.0, about(10.0)), (8192.0, about(5.0))];
        let points = points.map(|(at, value)| ("streaming".to_owned(), at, value));
        let bars = [("load", about(0.3)), ("call", about(107.0))];
        let bars = bars.map(|(name, value)| (name.to_owned(), value));
        let plots = [
            Plot::lines("cost", "bytes", "ns a line", points),
            Plot::bars("costs", "ns", bars),
            Plot::HeatMap {
                title: "latency".to_owned(),
                labels: vec!["CPU 0".to_owned(), "CPU 1".to_owned()],
                cells: vec![vec![None, Some(57.0)], vec![Some(61.0), None]],
            },
        ];
        for (plot, words) in plots.iter().zip([
            ["streaming", "bytes", "ns a line", "8Ki"],
            ["load", "call", "ns", ""],
            ["CPU 0", "57.0", "61.0", "CPU 1"],
        ]) {
            let svg = plot.draw().unwrap().unwrap();
            let whole = svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>");
            assert!(whole, "{svg}");
            says(&svg, &words);
        }
    }

    #[test]
    fn nothing_is_drawn_of_no_figures() {
        let nothing = [
            Plot::lines("", "", "", []),
            Plot::bars("", "", [("starved".to_owned(), about(f64::INFINITY))]),
            Plot::HeatMap {
                title: String::new(),
                labels: vec!["CPU 0".to_owned()],
                cells: vec![vec![None]],
            },
        ];
        for plot in nothing {
            assert!(plot.draw().unwrap().is_none(), "{plot:?}");
        }
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        let sizes = [64.0, 1024.0, 131_072.0, 4_194_304.0].map(size);
        assert_eq!(sizes, ["64", "1Ki", "128Ki", "4Mi"]);
    }
}
