import { family } from "../family.ts";
import { withDefaults } from "../fields.ts";
import { RobertaConfig } from "../roberta/roberta-config.ts";
import {
  RobertaForMaskedLM,
  RobertaForMultipleChoice,
  RobertaForQuestionAnswering,
  RobertaForSequenceClassification,
  RobertaForTokenClassification,
} from "../roberta/roberta-heads.ts";
import { RobertaModel } from "../roberta/roberta.ts";

/** The configuration of XLMRoberta: RoBERTa's. */
export class XLMRobertaConfig extends RobertaConfig {
  static override readonly modelType = "xlm-roberta";
  static override readonly fields = withDefaults(RobertaConfig.fields, { vocab_size: 30522 });
}

/**
 * XLM-RoBERTa without a head: RoBERTa, trained on a hundred languages with a SentencePiece vocabulary.
 * @see https://arxiv.org/abs/1911.02116
 */
export class XLMRobertaModel extends RobertaModel {
  static override readonly Config = XLMRobertaConfig;
  static override readonly architecture = "XLMRobertaModel";
}

export class XLMRobertaForSequenceClassification extends RobertaForSequenceClassification {
  static override readonly Config = XLMRobertaConfig;
  static override readonly architecture = "XLMRobertaForSequenceClassification";
}

export class XLMRobertaForTokenClassification extends RobertaForTokenClassification {
  static override readonly Config = XLMRobertaConfig;
  static override readonly architecture = "XLMRobertaForTokenClassification";
}

export class XLMRobertaForQuestionAnswering extends RobertaForQuestionAnswering {
  static override readonly Config = XLMRobertaConfig;
  static override readonly architecture = "XLMRobertaForQuestionAnswering";
}

export class XLMRobertaForMultipleChoice extends RobertaForMultipleChoice {
  static override readonly Config = XLMRobertaConfig;
  static override readonly architecture = "XLMRobertaForMultipleChoice";
}

export class XLMRobertaForMaskedLM extends RobertaForMaskedLM {
  static override readonly Config = XLMRobertaConfig;
  static override readonly architecture = "XLMRobertaForMaskedLM";
}

export const xlmRoberta = family({
  Model: XLMRobertaModel,
  heads: {
    sequenceClassification: XLMRobertaForSequenceClassification,
    tokenClassification: XLMRobertaForTokenClassification,
    questionAnswering: XLMRobertaForQuestionAnswering,
    multipleChoice: XLMRobertaForMultipleChoice,
    maskedLM: XLMRobertaForMaskedLM,
  },
});
