import { confusionChart, errorsChart, pairsChart, reliabilityChart, rocChart } from "./charts.ts";
import { MOST_CLASSES, type Evaluation, type Mistake, type Table } from "./findings.ts";
import { lines, markup, type Html } from "./html.ts";
import { count, digits, figure, grid, percent, section, strong } from "./page-parts.ts";

/** What the model gets right and what wrong. */
export function verdict({ step, dataset, rows, nonFinite, wrong, classes, pairs, tables }: Evaluation): Html {
  const score = (classes ?? tables) && `: ${count(rows - nonFinite - wrong)} right, ${count(wrong)} wrong`;
  const leftOut =
    nonFinite > 0 && markup` <span class="bad">${count(nonFinite)} with logits that aren't finite are left out.</span>`;
  const intro = markup`<p class="muted">${count(rows)} rows of ${dataset}, after update ${count(step)}${score}.${leftOut}</p>`;
  if (pairs && pairs.length > 0) {
    const which = pairs.length < rows ? `of ${count(pairs.length)} rows, evenly chosen` : "of all rows";
    const figures = [
      figure("Predicted against true", "dashed: where both are equal", pairsChart(pairs)),
      figure("Errors", which, errorsChart(pairs)),
    ];
    return section("Predictions", markup`${intro}${grid(figures)}`);
  }
  if (!classes) {
    const shown = (tables ?? []).map(tableOf);
    return nonFinite > 0 || shown.length > 0 ? section("Right and wrong", lines([intro, ...shown])) : lines([]);
  }
  const { names, confusions, calibration, roc, scores } = classes;
  const figures: Html[] = [];
  if (names.length <= MOST_CLASSES)
    figures.push(figure("Confusion matrix", "the darker, the more of the label's rows", confusionChart(classes)));
  if (roc)
    figures.push(
      figure("ROC", markup`area under the curve ${strong(digits(roc.area))}, for ${names[1]}`, rocChart(roc)),
    );
  const sure = markup`expected calibration error ${strong(digits(calibration.error))}; dashed: right as often as it is sure`;
  figures.push(figure("Calibration", sure, reliabilityChart(classes)));
  const perClass = markup`<div class="wide"><table><thead><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>rows</th></tr></thead><tbody>
${lines(scores.map(({ label, precision, recall, f1, support }) => markup`<tr><td>${names[label]}</td>${[precision, recall, f1].map((score) => markup`<td>${score.toFixed(3)}</td>`)}<td>${count(support)}</td></tr>`))}
</tbody></table></div>`;
  const worst = confusions
    .filter(([label, predicted]) => label !== predicted)
    .sort((a, b) => b[2] - a[2])
    .slice(0, 15);
  const worstTable = markup`<h3>Confused most often</h3><div class="wide"><table class="texts"><thead><tr><th>label</th><th>predicted</th><th>rows</th></tr></thead><tbody>
${lines(worst.map(([label, predicted, n]) => markup`<tr><td>${names[label] ?? String(label)}</td><td>${names[predicted]}</td><td>${count(n)}</td></tr>`))}
</tbody></table></div>`;
  return section(
    "Right and wrong",
    markup`${intro}${grid(figures)}
${names.length > 2 && worst.length > 0 && worstTable}
${names.length <= 10 ? markup`<h3>By class</h3>${perClass}` : markup`<details id="classes"><summary>All ${count(names.length)} classes as a table</summary>${perClass}</details>`}`,
  );
}

const tableOf = ({ title, columns, rows }: Table): Html =>
  markup`<h3>${title}</h3><div class="wide"><table><thead><tr>${columns.map((name) => markup`<th>${name}</th>`)}</tr></thead><tbody>
${lines(rows.map((row) => markup`<tr>${row.map((cell) => markup`<td>${typeof cell === "number" ? count(cell) : cell}</td>`)}</tr>`))}
</tbody></table></div>`;

export function mistakes({ mistakes: shown, wrong, rows, pairs }: Evaluation): Html {
  if (shown.length === 0) return lines([]);
  const title = pairs ? "Largest errors" : "Most confident mistakes";
  const intro = pairs
    ? `The ${count(shown.length)} of ${count(rows)} rows with the largest errors.`
    : `${shown.length < wrong ? `The ${shown.length} of ${count(wrong)} that the model was surest of.` : "The model was surest of the first."}`;
  const items = shown.map(({ row, text, textPair, label, predicted, score }) => {
    const said = pairs
      ? markup`${predicted} instead of ${label}: ${score > 0 ? "+" : "−"}${digits(Math.abs(score))}`
      : markup`<b>${predicted}</b> <span class="muted">at ${percent(score)}, but it is</span> <b>${label}</b>`;
    return markup`<li><p class="said">${said} <span class="muted row">row ${count(row)}</span></p>${[text, textPair].map(cutText)}</li>`;
  });
  return section(title, markup`<p class="muted">${intro}</p><ol class="mistakes">${lines(items)}</ol>`);
}

/** Characters of a text that are shown until it is opened. */
const SHOWN = 320;

function cutText(text: Mistake["textPair"]): Html | undefined {
  if (!text) return undefined;
  if (text.length <= SHOWN + 80) return markup`<p class="text" dir="auto">${text}</p>`;
  const start = text.slice(0, SHOWN).replace(/\s+\S*$/, "");
  return markup`<details class="text"><summary><span class="start" dir="auto">${start} …</span> <span class="more">all ${count(text.length)} characters</span></summary><p dir="auto">${text}</p></details>`;
}
