import { testFamily } from "../../../test/tiny-family.ts";

testFamily("deberta-v2");
