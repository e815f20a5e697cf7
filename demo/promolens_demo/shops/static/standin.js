// What all stand-in pages share. No library: plain fetch.
"use strict";

// A mode in the page's own address (?standin=slow:1) holds for its further requests too.
function standinHeaders(more) {
  const mode = new URLSearchParams(location.search).get("standin");
  return Object.assign({ "X-Requested-With": "XMLHttpRequest" }, mode ? { "X-Standin-Mode": mode } : {}, more);
}

function standinPost(address, values) {
  return fetch(address, {
    method: "POST",
    credentials: "same-origin",
    headers: standinHeaders({ "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8" }),
    body: new URLSearchParams(values).toString(),
  }).then(function (answer) {
    if (!answer.ok) {
      throw new Error("status " + answer.status);
    }
    return answer.text();
  });
}

function standinPause(milliseconds) {
  return new Promise(function (resolve) {
    setTimeout(resolve, milliseconds);
  });
}
