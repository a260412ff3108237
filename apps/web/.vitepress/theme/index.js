import { h } from "vue";
import DefaultTheme from "vitepress/theme-without-fonts";
import Hero from "./Hero.vue";
import Island from "./Island.vue";
import "./style.css";

export default {
  extends: DefaultTheme,
  Layout: () => h(DefaultTheme.Layout, null, { "home-hero-image": () => h(Hero) }),
  enhanceApp: ({ app }) => app.component("Island", Island),
};
