//! A timeline as SVG. Colours are attributes, so that the file shows them by itself and a page can give others to the classes.

use std::fmt::Write;

use super::{
    model::{Marked, Timeline},
    paint::{
        BAD, LINE_COLOUR, SOFT, STEPS, TEXT, UNKNOWN, WAYS, colour_of, escaped, part_colour,
        shortened, tenth,
    },
    part::Part,
    places::{BINS, BinRow, Placed, Places},
    scale::{spoken, ticks},
};

/// Widths in pixels: of the picture, of the names, of what is right of the bars.
const WIDTH: u64 = 1_200;
const NAMES: u64 = 170;
const MARGIN: u64 = 20;

/// Of the bars, in tenths of a pixel: places are told to the tenth.
const PLOT: u64 = (WIDTH - NAMES - MARGIN) * 10;

/// Heights in pixels: of what is above the rows, of a row of jobs, of a row of workers, of a line of text.
const TOP: u64 = 74;
const ROW: u64 = 16;
const BIN_ROW: u64 = 24;
const LINE: u64 = 18;

/// Between two marks, in tenths of a pixel.
const MARK: u64 = 90;

/// Letters of a name that have room.
const NAME_LETTERS: usize = 22;

/// Letters of a sentence that have room.
const SENTENCE_LETTERS: usize = 140;

/// Letters of a store's id below the picture.
const STORE_LETTERS: usize = 60;

/// Failed jobs that are named below the picture.
const NAMED_FAILURES: usize = 5;

/// Draws `timeline`, as SVG. Whoever shows it within a page may give other colours to its classes.
pub fn draw(timeline: &Timeline) -> String {
    let (rows, row_height) = match &timeline.places {
        Places::Jobs { rows, .. } => (rows.iter().map(|(_, rows)| *rows as u64).sum(), ROW),
        Places::Bins(rows) => (rows.len() as u64, BIN_ROW),
    };
    let bottom = TOP + rows * row_height;
    let failures = timeline.failures.len().min(NAMED_FAILURES);
    let lines = timeline.slowest.len() + failures;
    let height = bottom + 84 + LINE * lines as u64;
    let mut picture = Picture {
        svg: String::new(),
        length: timeline.length(),
        bottom,
    };
    let title = format!("Run {}: {}", timeline.run_id, timeline.bound.sentence);
    picture.begin(height, &title);
    picture.said(&timeline.bound.sentence);
    picture.axis();
    match &timeline.places {
        Places::Jobs { rows, jobs } => picture.jobs(rows, jobs),
        Places::Bins(rows) => picture.bins(rows),
    }
    picture.marks(timeline);
    picture.legend(&timeline.places);
    picture.list(timeline, failures);
    picture.svg.push_str("</svg>\n");
    picture.svg
}

struct Picture {
    svg: String,
    /// Of the run, in milliseconds.
    length: u64,
    /// Where the rows end.
    bottom: u64,
}

impl Picture {
    fn begin(&mut self, height: u64, title: &str) {
        self.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             class=\"timeline\" role=\"img\" font-family=\"system-ui, sans-serif\">\
             <title>{}</title>\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>",
            escaped(title)
        ));
    }

    /// The sentence, in a line; what follows it, in another.
    fn said(&mut self, sentence: &str) {
        let (first, rest) = sentence.split_once(". ").unwrap_or((sentence, ""));
        self.put(format_args!("<g class=\"said\">"));
        let stop = if rest.is_empty() { "" } else { "." };
        let first = format!("{}{stop}", shortened(first, SENTENCE_LETTERS));
        self.text(16, 20, 14, TEXT, "600", &first);
        self.text(16, 38, 12, SOFT, "400", rest);
        self.svg.push_str("</g>");
    }

    /// Lines at round times, with their words above.
    fn axis(&mut self) {
        for tick in ticks(self.length) {
            let x = self.x(tick);
            let (top, bottom) = (TOP - 6, self.bottom);
            self.put(format_args!(
                "<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"{LINE_COLOUR}\"/>\
                 <text class=\"soft\" x=\"{x}\" y=\"{}\" font-size=\"11\" text-anchor=\"middle\" fill=\"{SOFT}\">{}</text>",
                TOP - 12,
                spoken(tick)
            ));
        }
    }

    /// A bar for each job: its steps, below them its way, around it that it failed.
    fn jobs(&mut self, rows: &[(String, usize)], jobs: &[Placed]) {
        let mut above = 0;
        for (name, count) in rows {
            let top = TOP + above * ROW;
            self.name(top + 12, name);
            self.line(top);
            above += *count as u64;
        }
        self.line(self.bottom);
        for job in jobs {
            self.job(job);
        }
    }

    fn job(&mut self, job: &Placed) {
        let y = TOP + job.row as u64 * ROW + 2;
        let steps: Vec<String> = (job.steps.iter())
            .map(|(step, millis)| format!("{step} {}", spoken(*millis)))
            .collect();
        let mut title = format!(
            "{}: {}, {}",
            job.store_id,
            job.state,
            spoken(job.until - job.from)
        );
        if !steps.is_empty() {
            title += &format!(" ({})", steps.join(", "));
        }
        self.put(format_args!("<g><title>{}</title>", escaped(&title)));
        // What is below the steps is what is not known of the job, and pauses.
        let whole = self.width(job.from, job.until);
        let x = self.x(job.from);
        self.put(format_args!(
            "<rect class=\"part-unknown\" x=\"{x}\" y=\"{y}\" width=\"{whole}\" height=\"9\" fill=\"{UNKNOWN}\" fill-opacity=\"0.35\"/>"
        ));
        let mut at = job.work_from;
        for (step, millis) in &job.steps {
            let width = self.tenths(at, at + millis);
            if width >= 3 {
                let (step, colour) = colour_of(step);
                let x = self.x(at);
                let width = self.width(at, at + millis);
                self.put(format_args!(
                    "<rect class=\"step-{step}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"9\" fill=\"{colour}\"/>"
                ));
            }
            at += millis;
        }
        let way = WAYS.iter().find(|(way, _)| *way == job.way);
        if let Some((way, colour)) = way {
            let below = y + 10;
            self.put(format_args!(
                "<rect class=\"way-{way}\" x=\"{x}\" y=\"{below}\" width=\"{whole}\" height=\"2\" fill=\"{colour}\"/>"
            ));
        }
        if job.state == "failed" {
            self.put(format_args!(
                "<rect class=\"failed-job\" x=\"{x}\" y=\"{y}\" width=\"{whole}\" height=\"12\" fill=\"none\" stroke=\"{BAD}\" stroke-width=\"2\"/>"
            ));
        }
        self.svg.push_str("</g>");
    }

    /// For each row a picture of how busy its workers were: the full height is all of their slots.
    fn bins(&mut self, rows: &[BinRow]) {
        for (nth, row) in rows.iter().enumerate() {
            let top = TOP + nth as u64 * BIN_ROW;
            self.line(top);
            self.name(top + 16, &row.name);
            // Each part with those before it, the tallest first: what is painted later covers the rest.
            for (nth, part) in Part::EACH.into_iter().enumerate().rev() {
                if row.bins.iter().any(|bin| bin[nth] > 0) {
                    let outline = self.outline(row, nth, top + BIN_ROW - 2);
                    let (name, colour) = (part.name(), part_colour(part));
                    self.put(format_args!(
                        "<path class=\"part-{name}\" d=\"{outline}\" fill=\"{colour}\"/>"
                    ));
                }
            }
        }
        self.line(self.bottom);
    }

    /// The outline of what the parts up to this one took of a row whose floor is at `floor`, in whole pixels.
    fn outline(&self, row: &BinRow, part: usize, floor: u64) -> String {
        let edge = |bin: usize| bin as u64 * self.length / BINS as u64;
        let x = |bin: usize| NAMES + self.tenths(0, edge(bin)) / 10;
        let mut path = format!("M{} {floor}", x(0));
        let mut height = 0;
        for (nth, bin) in row.bins.iter().enumerate() {
            let capacity = (edge(nth + 1) - edge(nth)) * row.slots;
            let took: u64 = bin[..=part].iter().sum();
            let new = (took * (BIN_ROW - 4) + capacity / 2).checked_div(capacity);
            let new = new.unwrap_or_default().min(BIN_ROW - 4);
            if new != height {
                // Writing to a text cannot fail.
                let _ = write!(path, "H{}V{}", x(nth), floor - new);
                height = new;
            }
        }
        let _ = write!(path, "H{}V{floor}z", x(BINS));
        path
    }

    /// Numbers of the slowest jobs and crosses of failed ones, below the rows at their starts.
    fn marks(&mut self, timeline: &Timeline) {
        let y = self.bottom + 14;
        for failure in &timeline.failures {
            let x = self.x(failure.offset);
            self.put(format_args!(
                "<text class=\"bad\" x=\"{x}\" y=\"{y}\" font-size=\"12\" font-weight=\"700\" text-anchor=\"middle\" fill=\"{BAD}\">×<title>{}</title></text>",
                escaped(&format!("{} failed", failure.store_id))
            ));
        }
        let mut slowest: Vec<(usize, &Marked)> = timeline.slowest.iter().enumerate().collect();
        slowest.sort_by_key(|(_, slow)| slow.offset);
        // Those that began together stand side by side.
        let mut free = 0;
        for (nth, slow) in slowest {
            let place = (NAMES * 10 + self.tenths(0, slow.offset)).max(free);
            free = place + MARK;
            let x = tenth(place);
            self.put(format_args!(
                "<text class=\"strong\" x=\"{x}\" y=\"{}\" font-size=\"11\" font-weight=\"700\" text-anchor=\"middle\" fill=\"{TEXT}\">{}<title>{}</title></text>",
                y + 12,
                nth + 1,
                escaped(&format!("{}: {}", slow.store_id, spoken(slow.millis)))
            ));
        }
    }

    /// What colours mean.
    fn legend(&mut self, places: &Places) {
        let y = self.bottom + 52;
        let keys: Vec<(String, &str, &str)> = match places {
            Places::Jobs { .. } => {
                let steps = STEPS.map(|(step, colour)| (format!("step-{step}"), step, colour));
                let ways = WAYS.map(|(way, colour)| (format!("way-{way}"), way, colour));
                steps.into_iter().chain(ways).collect()
            }
            Places::Bins(_) => Part::EACH
                .map(|part| {
                    (
                        format!("part-{}", part.name()),
                        part.name(),
                        part_colour(part),
                    )
                })
                .into(),
        };
        let mut x = 16;
        for (class, name, colour) in keys {
            self.put(format_args!(
                "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>",
                y - 9
            ));
            self.text(x + 14, y, 11, SOFT, "400", name);
            x += 30 + 7 * name.len() as u64;
        }
    }

    /// The slowest and the failed jobs in words.
    fn list(&mut self, timeline: &Timeline, failures: usize) {
        let mut y = self.bottom + 76;
        for (nth, slow) in timeline.slowest.iter().enumerate() {
            self.entry(y, &format!("{}", nth + 1), slow, TEXT);
            y += LINE;
        }
        for failure in timeline.failures.iter().take(failures) {
            self.entry(y, "×", failure, BAD);
            y += LINE;
        }
    }

    fn entry(&mut self, y: u64, sign: &str, job: &Marked, colour: &str) {
        let mut about = vec![job.state.name().to_owned(), spoken(job.millis)];
        about.extend(job.way.clone());
        about.extend(job.step.as_ref().map(|step| match job.state.succeeded() {
            true => format!("most of it {step}"),
            false => format!("in {step}"),
        }));
        if job.attempts > 1 {
            about.push(format!("{} attempts", job.attempts));
        }
        let class = if colour == BAD { "bad" } else { "strong" };
        // An id that is read from the right turns nothing else around.
        self.put(format_args!(
            "<text class=\"{class}\" x=\"16\" y=\"{y}\" font-size=\"12\" fill=\"{colour}\">{sign}  <tspan unicode-bidi=\"isolate\">{}</tspan>  <tspan class=\"soft\" fill=\"{SOFT}\">{}</tspan></text>",
            escaped(&shortened(&job.store_id, STORE_LETTERS)),
            escaped(&about.join(", "))
        ));
    }

    fn name(&mut self, y: u64, name: &str) {
        let shown = shortened(name, NAME_LETTERS);
        self.text(16, y, 11, SOFT, "400", &shown);
    }

    fn line(&mut self, y: u64) {
        let right = WIDTH - MARGIN;
        self.put(format_args!(
            "<line class=\"grid\" x1=\"16\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{LINE_COLOUR}\"/>"
        ));
    }

    fn text(&mut self, x: u64, y: u64, size: u64, colour: &str, weight: &str, text: &str) {
        let class = if colour == SOFT { "soft" } else { "strong" };
        self.put(format_args!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" font-size=\"{size}\" font-weight=\"{weight}\" fill=\"{colour}\">{}</text>",
            escaped(text)
        ));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = self.svg.write_fmt(text);
    }

    /// The place of a time.
    fn x(&self, at: u64) -> String {
        tenth(NAMES * 10 + self.tenths(0, at))
    }

    /// The width of a time that can still be seen.
    fn width(&self, from: u64, until: u64) -> String {
        tenth(self.tenths(from, until).max(5))
    }

    /// From one place to the other, in tenths of a pixel.
    fn tenths(&self, from: u64, until: u64) -> u64 {
        let at = |time: u64| time.min(self.length) * PLOT / self.length;
        at(until) - at(from)
    }
}
