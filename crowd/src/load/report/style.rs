//! The style of the page.

pub(super) const STYLE: &str = r#"
:root {
  color-scheme: light dark;
  --paper: #f7f4ef; --surface: #fffdfa; --sunken: #f1ece4;
  --ink: #1d1a17; --muted: #6a6259; --line: #e4ddd2;
  --first: #cb3a16; --second: #0f766e; --due: #a89f93;
  --good: #17703f; --good-paper: #e7f3ea; --bad: #b3261e; --bad-paper: #fbe9e6;
  --shadow: 0 1px 2px rgb(60 40 20 / 6%), 0 18px 48px -24px rgb(60 40 20 / 18%);
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141210; --surface: #1d1a17; --sunken: #272320;
    --ink: #f4efe8; --muted: #a89f93; --line: #37312b;
    --first: #ff7650; --second: #4fc4b6; --due: #7d756b;
    --good: #6fd195; --good-paper: #16281d; --bad: #ff8f80; --bad-paper: #331a17;
    --shadow: 0 1px 0 rgb(255 255 255 / 4%) inset, 0 24px 60px -20px rgb(0 0 0 / 60%);
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--paper); color: var(--ink); font: 1rem/1.5 var(--sans);
  padding: 0 1rem 3rem; -webkit-text-size-adjust: 100%; text-size-adjust: 100%;
}
header, main, footer { max-width: 66rem; margin: 0 auto; }
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem; padding: 1.25rem 0; }
.brand { white-space: nowrap; display: inline-flex; align-items: center; gap: .625rem; font-weight: 700; font-size: 1.125rem; }
.brand svg { width: 1.75rem; height: 1.75rem; display: block; }
header time { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.muted, time { color: var(--muted); font-size: clamp(.8125rem, .7rem + .4vw, .9375rem); }
main { display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 1fr); }
.card {
  background: var(--surface); border: 1px solid var(--line); border-radius: 1.25rem;
  box-shadow: var(--shadow); padding: clamp(1.125rem, 3vw, 1.75rem);
  display: grid; gap: 1rem; align-content: start; grid-template-columns: minmax(0, 1fr);
}
.pair { display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 1fr); }
h1 { font-size: clamp(1.5rem, 1.1rem + 1.8vw, 2.125rem); line-height: 1.15; letter-spacing: -.025em; text-wrap: balance; }
h2 { font-size: 1.0625rem; letter-spacing: -.01em; }

.verdict { grid-template-columns: auto minmax(0, 1fr); align-items: center; gap: 1rem 1.25rem; }
.verdict > svg { width: clamp(2.25rem, 1.5rem + 3vw, 3.25rem); height: auto; }
.verdict p { color: var(--muted); margin-top: .375rem; overflow-wrap: anywhere; }
.held { background: var(--good-paper); border-color: color-mix(in srgb, var(--good) 30%, transparent); }
.held > svg { color: var(--good); }
.violated { background: var(--bad-paper); border-color: color-mix(in srgb, var(--bad) 35%, transparent); }
.violated > svg { color: var(--bad); }
.unknown > svg { color: var(--muted); }

.figures { display: grid; gap: 1px; grid-template-columns: repeat(2, minmax(0, 1fr)); background: var(--line); padding: 0; overflow: hidden; }
.figures div { background: var(--surface); padding: 1rem 1.25rem; display: grid; gap: .125rem; align-content: start; }
.figures dt { color: var(--muted); font-size: .8125rem; font-weight: 600; }
.figures dd { font-size: clamp(1.375rem, 1.1rem + 1.4vw, 1.875rem); font-weight: 700; letter-spacing: -.03em; line-height: 1.15; font-variant-numeric: tabular-nums; }
.figures small { color: var(--muted); font-size: .8125rem; }

.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; color: var(--muted); font-size: .875rem; }
.legend li { display: inline-flex; align-items: center; gap: .5rem; }
.legend i { width: .75rem; height: .75rem; border-radius: .25rem; }
figure { display: grid; gap: .75rem; grid-template-columns: minmax(0, 1fr); }
figure svg { width: 100%; height: auto; display: block; }
figure svg text { font-family: var(--sans); font-variant-numeric: tabular-nums; }
figure .desk { display: none; }

.scroll { overflow-x: auto; margin: 0 calc(-1 * clamp(1.125rem, 3vw, 1.75rem)); padding: 0 clamp(1.125rem, 3vw, 1.75rem); }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--muted); font-size: .8125rem; }
td, th { padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
tbody tr:last-child > * { border-bottom: 0; }
td:last-child, th:last-child { padding-right: 0; }
tbody th { color: var(--ink); font-size: .9375rem; font-weight: 500; }
tbody th.part { color: var(--muted); padding-left: 1rem; font-weight: 400; }
.number { text-align: right; white-space: nowrap; }
.mark { font-weight: 650; white-space: nowrap; text-align: right; }
.mark.yes { color: var(--good); }
.mark.no { color: var(--bad); }
code { font: .875em var(--mono); overflow-wrap: anywhere; }
.invariants { list-style: none; padding: 0; display: grid; grid-template-columns: minmax(0, 1fr); column-gap: 2.5rem; font-size: .9375rem; }
.invariants > li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 1rem; padding: .5rem 0; border-bottom: 1px solid var(--line); align-content: start; }
.examples { grid-column: 1 / -1; list-style: none; padding: .25rem 0 0; color: var(--bad); font-size: .8125rem; overflow-wrap: anywhere; }
.note { background: var(--sunken); border-radius: .75rem; padding: .75rem 1rem; font-size: .9375rem; color: var(--muted); }
.note.bad { background: var(--bad-paper); color: var(--bad); }
dl.plan { display: grid; grid-template-columns: minmax(0, 1fr); gap: .625rem; font-size: .9375rem; }
dl.plan dt { color: var(--muted); font-size: .8125rem; font-weight: 600; }
dl.plan dd { overflow-wrap: anywhere; }
footer { padding: 1.75rem 0 0; color: var(--muted); font-size: .875rem; max-width: 66rem; }

@media (min-width: 48rem) {
  .figures { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .pair { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  figure .desk { display: block; }
  figure .phone { display: none; }
  .invariants { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  dl.plan { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 1rem 1.5rem; }
}
@media (max-width: 47.99rem) { .count { display: none; } }
@media print { body { background: none; } .card { box-shadow: none; break-inside: avoid; } }
"#;
