"use strict";

let loading = false;
let generation = 0;

function covered(shown) {
  const overlay = document.querySelector(".AjaxLoading");
  overlay.style.display = shown ? "block" : "none";
  return Number(overlay.dataset.leastMs);
}

// Appends a further <ul>; the button is the answer's own, so it goes where the list ends.
function append(text) {
  const answer = new DOMParser().parseFromString(text, "text/html").querySelector(".prodListWrap");
  const wrap = document.querySelector(".prodListWrap");
  wrap.querySelectorAll(".prodListBtn").forEach(function (button) {
    button.remove();
  });
  while (answer.firstChild) {
    wrap.appendChild(answer.firstChild);
  }
}

async function load(page) {
  const own = generation;
  loading = true;
  const least = standinPause(covered(true));
  const form = document.getElementById("plusForm");
  try {
    const text = await standinPost(form.dataset.address, {
      pageIndex: String(page),
      listType: document.getElementById("listType").value,
      searchCondition: document.getElementById("searchCondition").value,
    });
    await least;
    if (own === generation) {
      append(text);
      document.getElementById("pageIndex").value = String(page);
    }
  } catch (error) {
    console.warn("list not loaded: " + error.message);
  }
  if (own === generation) {
    loading = false;
    covered(false);
  }
}

function nextPage(step) {
  if (!loading) {
    load(Number(document.getElementById("pageIndex").value) + step);
  }
}

function goDepth(condition) {
  generation += 1;
  document.getElementById("searchCondition").value = condition;
  document.getElementById("pageIndex").value = "0";
  document.querySelector(".prodListWrap").innerHTML = "";
  document.querySelectorAll(".eventInfo a").forEach(function (link) {
    link.classList.toggle("on", link.getAttribute("href") === "javascript:goDepth('" + condition + "');");
  });
  load(1);
}

function view(number) {
  console.info("product " + number);
}

document.addEventListener("DOMContentLoaded", function () {
  load(1);
});
