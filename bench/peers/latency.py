"""BERT-base with random weights, one sentence: answers a line `PEER TOKENS` with the milliseconds that one run took, and its processor time.

    python3 latency.py          # needs torch and transformers; onnx and onnxruntime if there

Peers: torch, onnx, onnx-int8 (dynamic quantization). The first line it writes lists those that it has.
"""
import os, sys, tempfile, time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import torch
from transformers import BertConfig, BertForSequenceClassification

torch.set_num_threads(2)
torch.manual_seed(0)
model = BertForSequenceClassification(BertConfig(attn_implementation="sdpa")).eval()


def inputs(tokens):
    ids = torch.arange(tokens).mul(7919).remainder(30000)[None]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def run_torch(tokens):
    with torch.inference_mode():
        model(**inputs(tokens))


peers = {"torch": run_torch}
try:
    import onnxruntime as ort
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = BertForSequenceClassification(BertConfig(attn_implementation="eager"))
            self.model.load_state_dict(model.state_dict())

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    kept = tempfile.TemporaryDirectory()
    folder = kept.name
    path = os.path.join(folder, "model.onnx")
    axes = {"input_ids": {1: "T"}, "attention_mask": {1: "T"}}
    example = inputs(16)
    torch.onnx.export(Logits().eval(), (example["input_ids"], example["attention_mask"]), path, input_names=list(axes), output_names=["logits"], dynamic_axes=axes, dynamo=False, opset_version=17)
    small = os.path.join(folder, "int8.onnx")
    quantize_dynamic(path, small, weight_type=QuantType.QInt8)
    print("onnx, MB:", *[os.path.getsize(file) // 10**6 for file in (path, small)], file=sys.stderr)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, file in (("onnx", path), ("onnx-int8", small)):
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        peers[name] = lambda tokens, session=session: session.run(None, {k: v.numpy() for k, v in inputs(tokens).items()})
except Exception as error:  # noqa: BLE001
    print("onnx:", str(error)[:300], file=sys.stderr)

print(" ".join(peers), flush=True)
for line in sys.stdin:
    peer, tokens = line.split()
    start, used = time.perf_counter(), time.process_time()
    peers[peer](int(tokens))
    print((time.perf_counter() - start) * 1e3, (time.process_time() - used) * 1e3, flush=True)
