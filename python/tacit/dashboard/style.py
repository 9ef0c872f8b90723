"""The style sheet of the dashboard: light and dark, and tables that become cards on a phone."""

from __future__ import annotations

STYLE = """
:root { --ground: #fbfbf9; --card: #fff; --text: #1d2126; --soft: #68707a; --line: #e2e4e0; --accent: #1f6f5c;
  --band: #a9d3c6; --good: #1f6f5c; --bad: #b3372b; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --card: #1c2024; --text: #e7e9ea; --soft: #98a1aa;
  --line: #2c3238; --accent: #6cc7ae; --band: #2f6355; --good: #6cc7ae; --bad: #ef8377; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
header, main { max-width: 1040px; margin: 0 auto; padding: 0 16px; }
header { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: baseline; padding-top: 16px; padding-bottom: 12px;
  border-bottom: 1px solid var(--line); }
header strong { font-size: 18px; } header small { color: var(--soft); overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 2px 16px; flex-basis: 100%; }
nav a { padding: 4px 0; text-decoration: none; } nav a[aria-current] { color: var(--text); font-weight: 600;
  border-bottom: 2px solid var(--accent); }
a { color: var(--accent); }
h1 { font-size: 20px; margin: 24px 0 8px; } h2 { font-size: 16px; margin: 28px 0 8px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 20px; }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
.tile b { display: block; font-size: 26px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span, .soft { color: var(--soft); font-size: 13px; }
.card { margin-top: 12px; overflow-x: auto; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 0 16px; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: var(--soft); font-weight: 500;
  font-size: 13px; padding: 0 12px 6px 0; } td { padding: 6px 12px 6px 0; border-top: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word; }
td:last-child { padding-right: 0; } .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td span { white-space: nowrap; } td a { overflow-wrap: anywhere; }
.success, .proven, .ok { color: var(--good); } .failure, .pitfall, .wrong { color: var(--bad); }
.unknown, .abandoned, .open, .none { color: var(--soft); }
svg { display: block; } .curve text { fill: var(--soft); font-size: 8px; } .curve { width: 100%; height: auto; }
.curve .line { fill: none; stroke: var(--accent); stroke-width: 2; } .curve circle { fill: var(--accent); }
.band { fill: var(--band); } .curve .band { opacity: .45; } .grid { stroke: var(--line); }
.bar { width: 130px; height: 14px; } .scale { fill: var(--line); } .mean { fill: var(--accent); }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: 6px; padding: 8px 10px; margin: 6px 0;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; max-height: 320px; overflow-y: auto; }
form { display: flex; flex-wrap: wrap; gap: 8px; margin: 12px 0; }
input, select, button { font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 6px 10px; }
input[name=task] { flex: 1 1 260px; min-width: 0; } button { background: var(--accent); color: var(--ground); }
summary { cursor: pointer; } ul { margin: 6px 0; padding-left: 20px; }
@media (max-width: 640px) {
  .cards thead { display: none; } .cards tr { display: block; border-top: 1px solid var(--line); padding: 6px 0; }
  .cards tr:first-child { border-top: 0; }
  .cards td { display: grid; grid-template-columns: 84px minmax(0, 1fr); gap: 8px; border: 0; padding: 2px 0;
    overflow-wrap: anywhere; }
  .cards td::before { content: attr(data-head); color: var(--soft); font-size: 13px; }
  .cards td:empty { display: none; }
  td, th { padding-right: 8px; } .bar { width: 76px; } .curve text { font-size: 19px; }
  .tile b { font-size: 22px; } .tiles { grid-template-columns: 1fr 1fr; } nav { gap: 2px 12px; }
}
"""
