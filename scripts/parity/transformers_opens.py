"""Opens folders with Python's Transformers, says what it found and computed, and saves them again.

Reads a JSON list of jobs on stdin, writes a JSON list of answers on stdout. A model's job: {"model": folder, "class": name, "inputs":
{...}, "save": folder}; a tokenizer's: {"tokenizer": folder, "texts": [text or [text, pair], ...], "max_length": n, "save": folder}.
"""

import json
import sys

import torch
import transformers


def open_model(job):
    cls = getattr(transformers, job["class"])
    # "eager" computes padded queries as we do; other implementations leave those undefined that have no key in their window.
    options = {"dtype": torch.float32, "attn_implementation": "eager"}
    model, info = cls.from_pretrained(job["model"], output_loading_info=True, **options)
    inputs = {name: torch.tensor(values) for name, values in job["inputs"].items()}
    with torch.no_grad():
        out = model.eval()(**inputs)
    model.save_pretrained(job["save"])
    y = next(out[name] for name in ("logits", "prediction_logits", "start_logits", "last_hidden_state") if name in out)
    keys = {name: sorted(info[name]) for name in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    return {"keys": keys, "shape": list(y.shape), "data": y.flatten().tolist()}


def open_tokenizer(job):
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["tokenizer"])
    encoded = []
    for text in job["texts"]:
        first, pair = text if isinstance(text, list) else (text, None)
        one = tokenizer(first, pair, truncation=True, padding="max_length", max_length=job["max_length"])
        encoded.append({name: one[name] for name in ("input_ids", "token_type_ids", "attention_mask")})
    tokenizer.save_pretrained(job["save"])
    return {"class": type(tokenizer).__name__, "encoded": encoded}


transformers.logging.set_verbosity_error()
answers = []
for job in json.load(sys.stdin):
    try:
        answers.append(open_model(job) if "model" in job else open_tokenizer(job))
    except Exception as error:  # told to the caller, who goes on with the others
        answers.append({"error": f"{type(error).__name__}: {error}"})
json.dump(answers, sys.stdout)
