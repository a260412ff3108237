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

/** The configuration of Camembert: RoBERTa's. */
export class CamembertConfig extends RobertaConfig {
  static override readonly modelType = "camembert";
  static override readonly fields = withDefaults(RobertaConfig.fields, { vocab_size: 30522 });
}

/**
 * CamemBERT without a head: RoBERTa, trained on French with a SentencePiece vocabulary.
 * @see https://arxiv.org/abs/1911.03894
 */
export class CamembertModel extends RobertaModel {
  static override readonly Config = CamembertConfig;
  static override readonly architecture = "CamembertModel";
}

export class CamembertForSequenceClassification extends RobertaForSequenceClassification {
  static override readonly Config = CamembertConfig;
  static override readonly architecture = "CamembertForSequenceClassification";
}

export class CamembertForTokenClassification extends RobertaForTokenClassification {
  static override readonly Config = CamembertConfig;
  static override readonly architecture = "CamembertForTokenClassification";
}

export class CamembertForQuestionAnswering extends RobertaForQuestionAnswering {
  static override readonly Config = CamembertConfig;
  static override readonly architecture = "CamembertForQuestionAnswering";
}

export class CamembertForMultipleChoice extends RobertaForMultipleChoice {
  static override readonly Config = CamembertConfig;
  static override readonly architecture = "CamembertForMultipleChoice";
}

export class CamembertForMaskedLM extends RobertaForMaskedLM {
  static override readonly Config = CamembertConfig;
  static override readonly architecture = "CamembertForMaskedLM";
}

export const camembert = family({
  Model: CamembertModel,
  heads: {
    sequenceClassification: CamembertForSequenceClassification,
    tokenClassification: CamembertForTokenClassification,
    questionAnswering: CamembertForQuestionAnswering,
    multipleChoice: CamembertForMultipleChoice,
    maskedLM: CamembertForMaskedLM,
  },
});
