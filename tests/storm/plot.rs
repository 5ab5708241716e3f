//! The answers of each second as a picture.

use std::fmt::Write as _;

use crate::crowd::Setting;
use crate::tally::{Tally, seconds};

const WIDTH: f64 = 840.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 40.0;
const COLOURS: [&str; 4] = ["#8a8a8a", "#d1495b", "#edae49", "#00798c"];

/// An SVG of answers a second over time, a line for each way.
pub(crate) fn svg(setting: &Setting, tallies: &[(&str, Tally)]) -> String {
    let length = seconds(setting.length());
    let most = tallies.iter().flat_map(|(_, tally)| &tally.answered_in).copied().max().unwrap_or(1).max(1);
    let x = |second: usize| LEFT + WIDTH * second as f64 / length as f64;
    let y = |count: f64| TOP + HEIGHT * (1.0 - count / f64::from(most));
    let (right, bottom) = (LEFT + WIDTH, TOP + HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        right + 24.0,
        bottom + 72.0
    );
    let mut add = |line: String| writeln!(svg, "{line}").expect("a string takes all text");
    let (from, to) = (seconds(setting.before), seconds(setting.before + setting.outage));
    add(format!(
        "<rect x=\"{:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"#eeeeee\"/>",
        x(from),
        x(to) - x(from)
    ));
    add(format!("<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#666666\">origin frozen</text>", x(from) + 4.0, TOP + 14.0));
    add(format!("<path d=\"M{LEFT},{TOP} V{bottom} H{right}\" fill=\"none\" stroke=\"black\"/>"));
    add(format!("<text x=\"{LEFT}\" y=\"{:.1}\">calls answered per second, as they end</text>", TOP - 12.0));
    for second in (0..=length).step_by(30) {
        add(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second} s</text>",
            x(second),
            bottom + 18.0
        ));
    }
    let asked = setting.per_second;
    for count in [0.0, asked, f64::from(most)] {
        let (x, y) = (LEFT - 6.0, y(count) + 4.0);
        add(format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{count:.0}</text>"));
    }
    add(format!("<path d=\"M{LEFT},{0:.1} H{right}\" stroke=\"#bbbbbb\" stroke-dasharray=\"4 4\"/>", y(asked)));
    for (nth, (name, tally)) in tallies.iter().enumerate() {
        let colour = COLOURS[nth % COLOURS.len()];
        let points: Vec<_> = tally
            .answered_in
            .iter()
            .enumerate()
            .map(|(second, count)| format!("{:.1},{:.1}", x(second), y(f64::from(*count))))
            .collect();
        add(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>",
            points.join(" ")
        ));
        let at = LEFT + 160.0 * nth as f64;
        add(format!("<rect x=\"{at:.1}\" y=\"{:.1}\" width=\"18\" height=\"4\" fill=\"{colour}\"/>", bottom + 42.0));
        add(format!("<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", at + 24.0, bottom + 48.0));
    }
    svg + "</svg>\n"
}
