//! The arrivals as a picture.

use std::fmt::Write as _;

use crate::crowd::Setting;
use crate::tally::{STEP, Tally, steps};

const WIDTH: f64 = 840.0;
/// Of one way's panel.
const HEIGHT: f64 = 150.0;
const GAP: f64 = 46.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 40.0;
const COLOURS: [&str; 3] = ["#d1495b", "#edae49", "#00798c"];

/// An SVG of arrivals over time since the server died, a panel for each way with a scale of its own.
pub(crate) fn svg(setting: &Setting, tallies: &[(&str, Tally)]) -> String {
    let length = steps(setting.outage + setting.after);
    let x = |step: usize| LEFT + WIDTH * step as f64 / length.max(1) as f64;
    let (right, bottom) = (LEFT + WIDTH, TOP + (HEIGHT + GAP) * tallies.len() as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {bottom}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        right + 24.0
    );
    let mut add = |line: String| writeln!(svg, "{line}").expect("a string takes all text");
    for (nth, (name, tally)) in tallies.iter().enumerate() {
        let top = TOP + (HEIGHT + GAP) * nth as f64;
        let foot = top + HEIGHT;
        let most = tally.came_in.iter().copied().max().unwrap_or(1).max(1);
        let y = |count: u32| foot - HEIGHT * f64::from(count) / f64::from(most);
        let colour = COLOURS[nth % COLOURS.len()];
        add(format!(
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"#eeeeee\"/>",
            x(steps(setting.outage)) - LEFT
        ));
        add(format!(
            "<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"{colour}\">{name}: tries in {} ms, the server gone where it is \
             grey</text>",
            top - 8.0,
            STEP.as_millis()
        ));
        add(format!("<path d=\"M{LEFT},{top} V{foot} H{right}\" fill=\"none\" stroke=\"black\"/>"));
        for count in [0, most] {
            add(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{count}</text>",
                LEFT - 6.0,
                y(count) + 4.0
            ));
        }
        for step in (0..=length).step_by(100) {
            let (x, y, seconds) = (x(step), foot + 16.0, step / 10);
            add(format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{seconds} s</text>"));
        }
        let points: Vec<_> =
            tally.came_in.iter().enumerate().map(|(step, count)| format!("{:.1},{:.1}", x(step), y(*count))).collect();
        add(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.4\"/>",
            points.join(" ")
        ));
    }
    svg + "</svg>\n"
}
