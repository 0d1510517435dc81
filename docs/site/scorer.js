// SPDX-License-Identifier: BSD-2-Clause
// The order of the search's results. A query with an underscore finds the names of the reference first. Any other query finds the
// guide first, then titles and documents, then names, then pages that only mention the words; source files and the changes last.
var Scorer = {
  objNameMatch: 300, objPartialMatch: 200, objPrio: {}, objPrioDefault: 0,
  title: 30, partialTitle: 15, term: 5, partialTerm: 2,
  score: ([page, , , description, score]) => {
    if (description) return /_/.test(new URLSearchParams(location.search).get("q")) ? score : 10;
    return score + (page === "docs/guide" ? 50 : /^CHANGELOG|\.\w+$/.test(page) ? -100 : /^docs\//.test(page) ? 20 : 0);
  },
};
