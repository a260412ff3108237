"""The same job as `gpugrad train` in PyTorch: python tasks.py TASK START DATA

Trains the model of the folder START on the rows of DATA in their order: 25 updates of 16 rows, AdamW, linear schedule, clipping at 1. Prints JSON: the loss
of each update, and the loss and the metric of the trained model on the same rows. `tasks.sh` runs it and gpugrad in turn.
"""

import json
import sys

import torch
import transformers

STEPS, ROWS, RATE = 25, 16, 3e-3


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def padded(tokenizer, features, **more):
    batch = tokenizer.pad({name: [f[name] for f in features] for name in ("input_ids", "token_type_ids", "attention_mask")}, return_tensors="pt")
    return {**batch, **more}


def along(batch, labels):
    """Labels of tokens, -100 at padding."""
    width = batch["input_ids"].shape[1]
    return {**batch, "labels": torch.tensor([own + [-100] * (width - len(own)) for own in labels])}


def classification(tokenizer, config, path, label):
    rows = lines(path)
    encoded = [tokenizer(row["text"]) for row in rows]
    return lambda i: padded(tokenizer, [encoded[k] for k in i], labels=torch.stack([label(rows[k], config) for k in i]))


def several(row, config):
    return torch.tensor([float(name in row["labels"]) for name in config.label2id])


def tagging(tokenizer, config, path, _):
    rows = [[line.split(" ") for line in block.split("\n")] for block in open(path).read().strip().split("\n\n")]
    encoded = [tokenizer([word for word, _ in row], is_split_into_words=True) for row in rows]

    def tags(k):
        words = encoded[k].word_ids()
        return [-100 if w is None or w == words[t - 1] else config.label2id[rows[k][w][1]] for t, w in enumerate(words)]

    return lambda i: along(padded(tokenizer, [encoded[k] for k in i]), [tags(k) for k in i])


def answering(tokenizer, config, path, _):
    paragraphs = json.load(open(path))["data"][0]["paragraphs"]
    encoded, spans = [], []
    for paragraph in paragraphs:
        [qa] = paragraph["qas"]
        one = tokenizer(qa["question"], paragraph["context"], return_offsets_mapping=True)
        start = qa["answers"][0]["answer_start"]
        end = start + len(qa["answers"][0]["text"])
        inside = [t for t, s in enumerate(one.sequence_ids()) if s == 1 and one["offset_mapping"][t][0] < end and one["offset_mapping"][t][1] > start]
        encoded.append(one)
        spans.append((inside[0], inside[-1]))
    return lambda i: padded(tokenizer, [encoded[k] for k in i], start_positions=torch.tensor([spans[k][0] for k in i]), end_positions=torch.tensor([spans[k][1] for k in i]))


def choosing(tokenizer, config, path, _):
    rows = lines(path)
    encoded = [[tokenizer(row["prompt"], choice) for choice in row["choices"]] for row in rows]

    def batch(i):
        flat = padded(tokenizer, [one for k in i for one in encoded[k]])
        return {**{name: x.view(len(i), -1, x.shape[1]) for name, x in flat.items()}, "labels": torch.tensor([rows[k]["label"] for k in i])}

    return batch


class SplitMix64:
    """What gpugrad draws from, so that the same words are hidden."""

    def __init__(self, seed, stream):
        self.state = self.mix((seed + self.mix(stream)) % 2**64)

    @staticmethod
    def mix(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    def high(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        return self.mix(self.state) >> 32


def masking(tokenizer, config, path, _):
    encoded = [tokenizer(line) for line in open(path).read().splitlines()]

    def masked(k):
        draw = SplitMix64(42, k + 1)
        ids = list(encoded[k]["input_ids"])
        chosen = [t for t in range(1, len(ids) - 1) if draw.high() / 2**32 < 0.15]
        labels = [-100] * len(ids)
        for t in chosen:
            labels[t] = ids[t]
            share = draw.high() / 2**32
            if share < 0.8:
                ids[t] = tokenizer.mask_token_id
            elif share < 0.9:
                ids[t] = draw.high() * len(tokenizer) >> 32
        return {**encoded[k], "input_ids": ids}, labels

    def batch(i):
        features, labels = zip(*(masked(k) for k in i))
        return along(padded(tokenizer, features), list(labels))

    return batch


TASKS = {
    "text-classification": ("ForSequenceClassification", classification, lambda row, config: torch.tensor(config.label2id[row["label"]])),
    "regression": ("ForSequenceClassification", classification, lambda row, _: torch.tensor(float(row["label"]))),
    "multi-label": ("ForSequenceClassification", classification, several),
    "token-classification": ("ForTokenClassification", tagging, None),
    "question-answering": ("ForQuestionAnswering", answering, None),
    "multiple-choice": ("ForMultipleChoice", choosing, None),
    "masked-lm": ("ForMaskedLM", masking, None),
}


def score(task, outputs, batches):
    """The metric that gpugrad prints for the task, by its name there."""
    if task == "question-answering":
        # Each text has room for one answer, so that the likeliest span is the one of the likeliest start and end in its order.
        right = [(o["start_logits"].argmax(-1) == b["start_positions"]) & (o["end_logits"].argmax(-1) == b["end_positions"]) for o, b in zip(outputs, batches)]
        return {"exact_match": 100 * torch.cat(right).float().mean().item()}
    if task == "regression":
        x, y = torch.cat([o["logits"].squeeze(-1) for o in outputs]), torch.cat([b["labels"] for b in batches])
        return {"mse": ((x - y) ** 2).mean().item()}
    if task == "multi-label":
        from sklearn.metrics import f1_score

        x, y = torch.cat([o["logits"] for o in outputs]) > 0, torch.cat([b["labels"] for b in batches])
        return {"f1_micro": f1_score(y, x, average="micro")}
    if task == "token-classification":
        from seqeval.metrics import f1_score

        names = outputs[0]["names"]
        kept = [[(names[p], names[t]) for p, t in zip(row, tags) if t >= 0] for o, b in zip(outputs, batches) for row, tags in zip(o["logits"].argmax(-1).tolist(), b["labels"].tolist())]
        return {"f1": f1_score([[t for _, t in row] for row in kept], [[p for p, _ in row] for row in kept])}
    pairs = [(o["logits"].argmax(-1), b["labels"]) for o, b in zip(outputs, batches)]
    return {"accuracy": torch.cat([(p == y)[y != -100] for p, y in pairs]).float().mean().item()}


def fit(parameters, loss_of, batches):
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 0, STEPS)
    losses = []
    for batch in batches:
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def sentences(start, path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(start, device="cpu").train()
    loss = MultipleNegativesRankingLoss(model)
    rows = lines(path)
    batches = [[model.tokenize([rows[k][name] for k in range(s * 7, s * 7 + 7)]) for name in ("anchor", "positive")] for s in range(STEPS)]
    losses = fit(list(model.parameters()), lambda batch: loss(batch, None), batches)
    return {"losses": losses, "metrics": {}}


def main(task, start, path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    if task == "sentence-embeddings":
        return sentences(start, path)
    suffix, read, label = TASKS[task]
    model = getattr(transformers, f"AutoModel{suffix}").from_pretrained(start).train()  # dropout is 0
    batch_of = read(transformers.AutoTokenizer.from_pretrained(start), model.config, path, label)
    batches = [batch_of(range(s * ROWS, s * ROWS + ROWS)) for s in range(STEPS)]
    losses = fit([p for p in model.parameters()], lambda batch: model(**batch).loss, batches)
    with torch.no_grad():
        outputs = [{**model(**batch), "names": model.config.id2label} for batch in batches]
    return {"losses": losses, "metrics": {"loss": sum(o["loss"].item() for o in outputs) / STEPS, **score(task, outputs, batches)}}


transformers.logging.set_verbosity_error()
print(json.dumps(main(*sys.argv[1:])))
