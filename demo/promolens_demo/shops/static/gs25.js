"use strict";

function element(name, style, text) {
  const made = document.createElement(name);
  if (style) {
    made.className = style;
  }
  if (text !== undefined) {
    made.textContent = text;
  }
  return made;
}

function picture(address, name) {
  const holder = element("p", "img");
  const image = element("img");
  image.src = address;
  image.alt = name;
  holder.appendChild(image);
  return holder;
}

function priceLine(price) {
  const line = element("p", "price");
  const cost = element("span", "cost", typeof price === "number" ? price.toLocaleString("en-US") : price);
  cost.appendChild(element("span", "", "원"));
  line.appendChild(cost);
  return line;
}

function giftBlock(row) {
  const block = element("div", "dum_box");
  const product = element("div", "dum_prd");
  product.appendChild(element("p", "tit", "덤증정 상품"));
  product.appendChild(picture(row.giftAttFileNm, row.giftGoodsNm));
  const words = element("div", "dum_txt");
  words.appendChild(element("p", "name", row.giftGoodsNm));
  words.appendChild(priceLine(row.giftPrice));
  block.appendChild(product);
  block.appendChild(words);
  return block;
}

function card(row) {
  const item = element("li");
  const box = element("div", "prod_box");
  box.appendChild(picture(row.attFileNm, row.goodsNm));
  box.appendChild(element("p", "tit", row.goodsNm));
  box.appendChild(priceLine(row.price));
  const flags = element("div", "flag_box " + row.eventTypeSp.code);
  const flag = element("p", "flg01");
  flag.appendChild(element("span", "", row.eventTypeNm));
  flags.appendChild(flag);
  box.appendChild(flags);
  if (row.giftGoodsNm) {
    box.appendChild(giftBlock(row));
  }
  item.appendChild(box);
  return item;
}

const goodsPageController = {
  tab: "",
  pageNum: 1,
  numberOfPages: 1,
  totalNumberOfResults: 0,
  asked: 0,

  // Steps by so many pages: 1 is the next one, -1 the one before.
  moveControl: function (step) {
    this.movePage(this.pageNum + step);
  },

  movePage: function (page) {
    if (page >= 1 && page <= this.numberOfPages) {
      this.load(this.tab, page);
    }
  },

  moveTab: function (tab) {
    this.load(tab, 1);
  },

  load: async function (tab, page) {
    const own = ++this.asked;
    try {
      const text = await standinPost(
        "/gscvs/ko/products/event-goods-search?CSRFToken=" + encodeURIComponent(CSRFToken),
        { pageNum: String(page), pageSize: "8", searchType: "", searchWord: "", parameterList: tab }
      );
      // The answer is a JSON string whose content is JSON.
      const answer = JSON.parse(JSON.parse(text));
      if (own === this.asked) {
        this.show(tab, page, answer);
      }
    } catch (error) {
      console.warn("list not loaded: " + error.message);
    }
  },

  show: function (tab, page, answer) {
    this.tab = tab;
    this.pageNum = page;
    this.numberOfPages = answer.pagination.numberOfPages;
    this.totalNumberOfResults = answer.pagination.totalNumberOfResults;
    const wraps = document.querySelectorAll("div.tblwrap");
    const wrap = wraps[wraps.length - 1];
    const list = wrap.querySelector("ul.prod_list");
    list.replaceChildren(...answer.results.map(card));
    if (answer.results.length === 0) {
      const nothing = element("li");
      nothing.appendChild(element("p", "", "검색된 상품이 없습니다."));
      list.appendChild(nothing);
    }
    document.querySelectorAll(".eventtab li").forEach(function (item) {
      item.className = item.querySelector("a").id === tab ? "on" : "";
    });
    this.pager(wrap.querySelector(".paging"));
  },

  pager: function (place) {
    const link = (style, text, script) => {
      const made = element("a", style, text);
      made.href = "#none";
      if (script) {
        made.setAttribute("onclick", script + ";return false;");
      }
      return made;
    };
    const last = this.numberOfPages;
    const before = this.pageNum > 1;
    const after = this.pageNum < last;
    const parts = [
      link("prev2", "처음", before && "goodsPageController.movePage(1)"),
      link("prev", "이전", before && "goodsPageController.moveControl(-1)"),
    ];
    const numbers = element("span", "num");
    const first = Math.floor((this.pageNum - 1) / 10) * 10 + 1;
    for (let page = first; page < first + 10 && page <= last; page += 1) {
      numbers.appendChild(
        link(page === this.pageNum ? "on" : "", String(page), "goodsPageController.movePage(" + page + ")")
      );
    }
    parts.push(numbers);
    parts.push(link("next", "다음", after && "goodsPageController.moveControl(1)"));
    parts.push(link("next2", "끝", after && "goodsPageController.movePage(" + last + ")"));
    place.replaceChildren(...parts);
  },
};

// A layer that covers the page until someone closes it.
async function showPopups() {
  const answer = await fetch("/gscvs/ko/popup-list", { headers: standinHeaders({}) });
  for (const popup of answer.ok ? await answer.json() : []) {
    const layer = element("div", "gsCommonPopup");
    layer.id = "gsCommonPopup" + popup.pk;
    layer.appendChild(element("strong", "", popup.title));
    layer.appendChild(element("p", "", popup.text));
    const close = element("button", "close", "닫기");
    close.type = "button";
    close.addEventListener("click", function () {
      layer.remove();
    });
    layer.appendChild(close);
    document.body.appendChild(layer);
  }
}

document.addEventListener("DOMContentLoaded", function () {
  const tab = location.hash.slice(1);
  goodsPageController.moveTab(document.getElementById(tab) ? tab : "TOTAL");
  showPopups().catch(function (error) {
    console.warn("no pop-ups: " + error.message);
  });
});
