import { testFamily } from "../../../test/tiny-family.ts";

testFamily("xlm-roberta");
