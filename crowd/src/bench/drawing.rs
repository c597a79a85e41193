//! How cost grows, drawn so that it can be read on light and on dark pages.

use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 300);
const GREY: RGBColor = RGBColor(0x8a, 0x84, 0x7c);
const COLOURS: [RGBColor; 3] =
    [RGBColor(0xd9, 0x5b, 0x36), RGBColor(0x1f, 0x96, 0x8b), RGBColor(0x5b, 0x7f, 0xc7)];

/// What a claim costs at each size, beside what it costs at the smallest.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// Times the smallest size, and times the cost at it.
    pub(super) points: Vec<(f64, f64)>,
}

/// An SVG: flat lines are what is hoped for; the slanted one is cost that grows with size.
pub(super) fn growth(lines: &[Line]) -> String {
    let mut svg = String::new();
    draw(lines, &mut svg).expect("a string takes all that is drawn");
    svg
}

fn draw(lines: &[Line], svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let text = ("sans-serif", 14).into_font().color(&GREY);
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((1.0..100.0).log_scale(), 0.0..4.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GREY.mix(0.3))
        .axis_style(GREY)
        .label_style(text.clone())
        .x_labels(3)
        .y_labels(5)
        .x_desc("how many, beside the fewest")
        .y_desc("what a claim costs")
        .x_label_formatter(&|size| format!("× {size:.0}"))
        .y_label_formatter(&|cost| format!("× {cost:.0}"))
        .draw()?;
    let linear = (0..=20).map(|step| 1.0 + 3.0 * f64::from(step) / 20.0);
    chart
        .draw_series(LineSeries::new(linear.map(|cost| (cost, cost)), GREY.stroke_width(1)))?
        .label("cost that grows as the size does")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], GREY.stroke_width(1)));
    for (Line { name, points }, colour) in lines.iter().zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)).point_size(4))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(text)
        .border_style(TRANSPARENT)
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_drawn_with_its_name_and_no_background_hides_the_page() {
        let names = ["units in stock", "buyers", "sockets"];
        let points = vec![(1.0, 1.0), (10.0, 1.1), (100.0, 1.2)];
        let svg = growth(&names.map(|name| Line { name, points: points.clone() }));
        assert!(names.iter().all(|name| svg.contains(name)), "{svg}");
        assert!(!svg.contains("fill=\"#FFFFFF\""), "{svg}");
    }
}
