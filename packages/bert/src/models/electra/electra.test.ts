import { testFamily } from "../../../test/tiny-family.ts";

testFamily("electra");
