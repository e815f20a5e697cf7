"use strict";

// The pager is drawn from the three constants that the page's own script states.
document.addEventListener("DOMContentLoaded", function () {
  const current = Number(page);
  const pages = Math.max(1, Math.ceil(Number(totalCount) / Number(pageLength)));
  const address = new URL(location.href);
  const link = function (to, text) {
    const made = document.createElement("a");
    address.searchParams.set("page", String(to));
    made.href = address.pathname + address.search;
    made.textContent = text;
    return made;
  };
  const wrap = document.querySelector(".pageNationWrap");
  const buttons = function (style, inner, to, text, shown) {
    const outer = document.createElement("div");
    outer.className = style;
    if (shown) {
      const holder = document.createElement("div");
      holder.className = inner;
      holder.appendChild(link(to, text));
      outer.appendChild(holder);
    }
    return outer;
  };
  const numbers = document.createElement("div");
  numbers.className = "pIndex";
  const first = Math.floor((current - 1) / 10) * 10 + 1;
  for (let number = first; number < first + 10 && number <= pages; number += 1) {
    const holder = document.createElement("span");
    if (number === current) {
      holder.className = "on";
    }
    holder.appendChild(link(number, String(number)));
    numbers.appendChild(holder);
  }
  wrap.append(
    buttons("prevButtons", "prev", current - 1, "이전", current > 1),
    numbers,
    buttons("nextButtons", "next", current + 1, "다음", current < pages)
  );
});
