// The frame of every page: one file, no scripts from elsewhere, light and dark.

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --line: #e3e7ee; --paper: #ffffff; --a: #d1495b; --b: #00798c; --c: #edae49; --d: #66a182; --r1: #9fb3c8; --r2: #3d8eb9; --r3: #edae49; --r4: #e0703a; --r5: #b3202c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2a3342; --paper: #12161d; --a: #ff7b89; --b: #4cc3d9; --c: #f2c879; --d: #8fd0ab; --r1: #5f7388; --r2: #58b4e0; --r3: #f2c879; --r4: #ff9a61; --r5: #ff5566; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1080px; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; } p { max-width: 70ch; } .lead { color: var(--soft); margin-top: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1.25rem 2rem; }
figure { margin: 0; } figcaption { font-weight: 600; margin-bottom: .25rem; } svg { width: 100%; height: auto; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .line.a { stroke: var(--a); } .line.b { stroke: var(--b); } .line.c { stroke: var(--c); } .line.d { stroke: var(--d); }
.grid { stroke: var(--line); } .level { stroke: var(--soft); stroke-dasharray: 4 4; } .tick, .axis { font-size: 11px; fill: var(--soft); } .legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: 13px; color: var(--soft); padding-left: 64px; }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; margin-right: 6px; vertical-align: middle; background: currentColor; } .key.a::before { background: var(--a); } .key.b::before { background: var(--b); } .key.c::before { background: var(--c); } .key.d::before { background: var(--d); }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; } .card { border: 1px solid var(--line); border-radius: 10px; padding: .6rem 1rem; min-width: 9rem; } .card b { display: block; font-size: 1.45rem; } .card span { color: var(--soft); font-size: 13px; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); } td.n, th.n { text-align: right; }
.map { width: 100%; max-width: 420px; border: 1px solid var(--line); border-radius: 10px; } .map .ring { fill: none; stroke: var(--line); } .map .dot { fill: var(--b); fill-opacity: .7; } .map .dot.copy { fill: var(--a); fill-opacity: .75; }
.bar, .seed { fill: var(--b); } .seed { fill-opacity: .55; } .mean, .spread { stroke: var(--a); stroke-width: 2; } .spread { stroke: var(--soft); stroke-width: 1.5; } .value { font-size: 11px; fill: var(--ink); } .verdict { font-size: 1.15rem; font-weight: 600; max-width: none; margin: 1rem 0; }
.r1 { fill: var(--r1); } .r2 { fill: var(--r2); } .r3 { fill: var(--r3); } .r4 { fill: var(--r4); } .r5 { fill: var(--r5); } .places { width: 100%; max-width: 640px; border: 1px solid var(--line); border-radius: 10px; } .places circle { fill-opacity: .78; }
.dot-key { display: inline-flex; align-items: center; gap: 6px; } .dot-key svg { width: 12px; height: 12px; } .thumbs { display: flex; gap: 3px; } .thumbs img { width: 54px; height: 54px; border-radius: 4px; object-fit: cover; } .scroll { overflow-x: auto; } code { font-size: .92em; overflow-wrap: anywhere; }
pre { background: color-mix(in srgb, var(--line) 45%, transparent); padding: .75rem 1rem; border-radius: 8px; overflow: auto; }
@media print { .tick, .axis, .value { font-size: 15px; } :root { color-scheme: light; --ink: #000000; --soft: #444444; --line: #cccccc; --paper: #ffffff; --a: #d1495b; --b: #00798c; --c: #c98a1b; --d: #4d8468; --r1: #9fb3c8; --r2: #3d8eb9; --r3: #edae49; --r4: #e0703a; --r5: #b3202c; } body { margin: 0; max-width: none; font-size: 11pt; } .charts { grid-template-columns: 1fr 1fr; } figure, tr, .card { break-inside: avoid; } h2 { break-after: avoid; } .bar, .places circle, .key::before, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
`;

/** Text as HTML, in attributes too. */
export const escapeHtml = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

/** A number with what it is. */
export const card = (value: string, name: string): string =>
  `<div class="card"><b>${escapeHtml(value)}</b><span>${escapeHtml(name)}</span></div>`;

/** A whole page around `body`, which is HTML. */
export const page = (title: string, lead: string, body: string): string =>
  `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><link rel="icon" href="data:,"><style>${style}</style></head>
<body><h1>${escapeHtml(title)}</h1><p class="lead">${escapeHtml(lead)}</p>
${body}
</body></html>
`;
