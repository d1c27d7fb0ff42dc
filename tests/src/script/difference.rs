//! What is different in two texts, for people.

use std::fmt::Write as _;

/// What is different in two texts, line by line, with what surrounds it. Empty if nothing is.
pub fn difference(former: &str, present: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (former.lines().collect(), present.lines().collect());
    let (width, height) = (new.len() + 1, old.len() + 1);
    // The length of the longest common subsequence of what is left of both.
    let mut common = vec![0_usize; width * height];
    for (i, left) in old.iter().enumerate().rev() {
        for (j, right) in new.iter().enumerate().rev() {
            common[i * width + j] = if left == right {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(format!("  {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(format!("- {}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    with_surroundings(&lines)
}

/// The lines that differ, and a few around each.
fn with_surroundings(lines: &[String]) -> String {
    const AROUND: usize = 3;
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let near = &lines[index.saturating_sub(AROUND)..lines.len().min(index + AROUND + 1)];
        if near.iter().any(|line| !line.starts_with("  ")) {
            writeln!(text, "{line}").expect("a string takes everything");
        }
    }
    text
}
