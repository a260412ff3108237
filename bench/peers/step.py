"""A training step of a BERT with random weights: answers each line `torch` with the milliseconds that one took, and its processor time.

    python3 step.py HIDDEN LAYERS HEADS INNER ROWS TOKENS          # needs torch and transformers
"""
import os, sys, time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import torch
from transformers import BertConfig, BertForSequenceClassification

hidden, layers, heads, inner, rows, tokens = map(int, sys.argv[1:])
torch.set_num_threads(os.cpu_count())
torch.manual_seed(0)
sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner}
config = BertConfig(**sizes, max_position_embeddings=max(512, tokens), attn_implementation="sdpa")
model = BertForSequenceClassification(config).train()
plain = [p for name, p in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name]
decayed = [p for name, p in model.named_parameters() if not (name.endswith("bias") or "LayerNorm" in name)]
optimizer = torch.optim.AdamW([{"params": decayed}, {"params": plain, "weight_decay": 0.0}], lr=5e-5)
ids = torch.arange(rows * tokens).mul(7919).remainder(config.vocab_size).view(rows, tokens)
labels = torch.zeros(rows, dtype=torch.long)


def step():
    model(input_ids=ids, labels=labels).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


step()
print("torch", flush=True)
for _ in sys.stdin:
    start, used = time.perf_counter(), time.process_time()
    step()
    print((time.perf_counter() - start) * 1e3, (time.process_time() - used) * 1e3, flush=True)
