"use strict";

let loadingMore = false;

function Fn_ResizeImg(image, width, height) {
  image.style.maxWidth = width + "px";
  image.style.maxHeight = height + "px";
}

function fncTab(tab) {
  const form = document.getElementById("actFrm");
  form.action = location.pathname + location.search;
  document.getElementById("pTab").value = tab;
  form.submit();
}

async function fncMore(tab) {
  if (loadingMore) {
    return;
  }
  loadingMore = true;
  try {
    const text = await standinPost("/product/listMoreAjax.asp", {
      intPageSize: intPageSize,
      intCurrPage: document.getElementById("listPage").value,
      cateCd1: "",
      cateCd2: "",
      cateCd3: "",
      pTab: tab || document.getElementById("pTab").value,
    });
    ["moreImg", "listCnt", "listPage"].forEach(function (id) {
      document.getElementById(id).remove();
    });
    document.getElementById("listUl").insertAdjacentHTML("beforeend", text);
  } catch (error) {
    console.warn("list not loaded: " + error.message);
  }
  loadingMore = false;
}

function fncGoView(number) {
  location.href = "/product/presentView.asp?pCd=" + encodeURIComponent(number);
}
