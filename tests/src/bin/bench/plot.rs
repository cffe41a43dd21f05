//! The response times as a picture.
use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::response_times::{Kind, Response};

const SIZE: (u32, u32) = (1000, 460);

/// Two panels, writing and reading: size of the message against seconds, both logarithmic, a line for each kind.
pub(crate) fn draw(path: &str, responses: &[Response]) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    panel(&left, "writing: until the server has accepted it", responses, Response::writing)?;
    panel(&right, "reading: fetched, opened and judged", responses, Response::reading)?;
    root.present().map_err(failed)
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    responses: &[Response],
    seconds: impl Fn(&Response) -> f64,
) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .margin_right(32)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d((1e3..1e8_f64).log_scale(), (0.01..10.0_f64).log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc("size of the content")
        .y_desc("seconds")
        .x_label_formatter(&|octets| in_words(*octets))
        .draw()
        .map_err(failed)?;
    for (kind, colour) in Kind::ALL.into_iter().zip([BLACK, BLUE, RED, RGBColor(0, 128, 0)]) {
        let points: Vec<(f64, f64)> = responses
            .iter()
            .filter(|response| response.kind == kind)
            .map(|response| (response.octets as f64, seconds(response)))
            .collect();
        chart
            .draw_series(LineSeries::new(points.clone(), &colour))
            .map_err(failed)?
            .label(kind.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
        chart
            .draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))
            .map_err(failed)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()
        .map_err(failed)
}

fn in_words(octets: f64) -> String {
    match octets {
        small if small < 1e6 => format!("{:.0} KB", small / 1e3),
        large => format!("{:.0} MB", large / 1e6),
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the picture could not be drawn: {error}")
}
