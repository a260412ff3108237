"""Opens folders with Python's Transformers, PEFT and sentence-transformers, says what they found and computed, and saves them again.

Reads a JSON list of jobs on stdin, writes a JSON list of answers on stdout. A model's job: {"model": folder, "class": name, "inputs": {...},
"save": folder}, with an adapter also {"adapter": folder}; a tokenizer's: {"tokenizer": folder, "texts": [text or [text, pair], ...], "max_length":
n, "save": folder}; that of sentence embeddings: {"sentences": folder, "texts": [...], "save": folder}.
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
    if "adapter" in job:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, job["adapter"])
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
        encoded.append(dict(one))
    tokenizer.save_pretrained(job["save"])
    return {"class": type(tokenizer).__name__, "encoded": encoded}


def open_sentences(job):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(job["sentences"], device="cpu")
    vectors = model.encode(job["texts"])
    model.save_pretrained(job["save"])
    return {"keys": {}, "shape": list(vectors.shape), "data": vectors.flatten().tolist()}


transformers.logging.set_verbosity_error()
answers = []
for job in json.load(sys.stdin):
    try:
        open_any = open_model if "model" in job else open_tokenizer if "tokenizer" in job else open_sentences
        answers.append(open_any(job))
    except ImportError as error:
        answers.append({"missing": str(error)})
    except Exception as error:  # of this job alone
        answers.append({"error": f"{type(error).__name__}: {error}"})
json.dump(answers, sys.stdout)
