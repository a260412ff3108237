import { AutoTokenizer, BertForSequenceClassification } from "@gpugrad/bert";
import { init } from "@gpugrad/tensor/functional";

await init();
const tokenizer = await AutoTokenizer.fromPretrained("/model");
const model = await BertForSequenceClassification.fromPretrained("/model");
const { input_ids, attention_mask } = tokenizer.encode("A quiet, beautifully acted film.");
const { logits } = model.forward({ input_ids: [input_ids], attention_mask: [attention_mask] });
console.log(await logits.toArray());
