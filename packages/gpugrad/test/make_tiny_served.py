"""Tiny models of random weights, one for each task that is served, and what Transformers says of some texts. Prints JSON."""

import json
import os
import sys

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    BertTokenizerFast,
    pipeline,
)

(folder,) = (json.loads(sys.argv[1])["folder"],)
words = "ada lives in paris and bob in rome who where does live now the old town is big".split()
vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(words), "##s", "."]
os.makedirs(folder, exist_ok=True)
with open(f"{folder}/vocab.txt", "w") as file:
    file.write("\n".join(vocab) + "\n")
tokenizer = BertTokenizerFast(f"{folder}/vocab.txt", model_max_length=24)


def saved(name, model_class, **more):
    torch.manual_seed(len(name))
    config = BertConfig(
        vocab_size=len(vocab), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=24, initializer_range=0.6, **more,
    )
    model = model_class(config).eval()
    model.save_pretrained(f"{folder}/{name}")
    tokenizer.save_pretrained(f"{folder}/{name}")
    return model


tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
text = "Ada lives in Paris and Bob in Rome."
pair = ("ada lives in paris", "where does ada live")
classifier = saved("classifier", BertForSequenceClassification, num_labels=3, id2label={0: "bad", 1: "fair", 2: "good"}, label2id={"bad": 0, "fair": 1, "good": 2})  # fmt: skip
tagger = saved("tagger", BertForTokenClassification, num_labels=5, id2label=dict(enumerate(tags)), label2id={tag: i for i, tag in enumerate(tags)})  # fmt: skip
answerer = saved("answerer", BertForQuestionAnswering)
guesser = saved("guesser", BertForMaskedLM)
embedder = saved("embedder", BertModel)

with open(f"{folder}/embedder/modules.json", "w") as file:
    json.dump([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
               {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}], file)  # fmt: skip
os.makedirs(f"{folder}/embedder/1_Pooling")
with open(f"{folder}/embedder/1_Pooling/config.json", "w") as file:
    json.dump({"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}, file)


def vector(sentence):
    with torch.no_grad():
        return embedder(**tokenizer(sentence, return_tensors="pt")).last_hidden_state[0].mean(0)


def classify(inputs, **options):
    found = labels(inputs, **options)
    return found[0] if isinstance(found[0], list) else found  # nested for some inputs


def plain(value):
    return json.loads(json.dumps(value, default=float))


labels = pipeline("text-classification", model=classifier, tokenizer=tokenizer, top_k=None)
tag = pipeline("token-classification", model=tagger, tokenizer=tokenizer, aggregation_strategy="simple")
fill = pipeline("fill-mask", model=guesser, tokenizer=tokenizer)
question, context = "where does bob live", "Ada lives in Paris and Bob in Rome. The old town is big."
with torch.no_grad():
    asked = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    offsets, sequences = asked.pop("offset_mapping")[0].tolist(), asked.sequence_ids()
    scores = answerer(**asked)
spans = [
    (float(scores.start_logits[0, s] + scores.end_logits[0, e]), offsets[s][0], offsets[e][1])
    for s in range(len(sequences))
    for e in range(s, len(sequences))
    if sequences[s] == sequences[e] == 1
]
best = max(spans)
vectors = torch.stack([vector(text), vector(question)])
unit = torch.nn.functional.normalize(vectors)
print(json.dumps({
    "text": text, "pair": pair, "question": question, "context": context,
    "classes": classify(text), "raw": classify(text, function_to_apply="none"), "pairClasses": classify({"text": pair[0], "text_pair": pair[1]}),
    "entities": plain(tag(text)), "tokens": plain(pipeline("token-classification", model=tagger, tokenizer=tokenizer, ignore_labels=[])(text)),
    "answer": {"answer": context[best[1] : best[2]], "start": best[1], "end": best[2]},
    "words": plain(fill("Ada lives in [MASK].", top_k=4)), "among": plain(fill("Ada lives in [MASK].", targets=["rome", "paris"])),
    "two": plain(fill("[MASK] lives in [MASK]", top_k=2)),
    "vectors": vectors.tolist(), "unit": unit.tolist(), "cosine": float(unit[0] @ unit[1]),
}))  # fmt: skip
