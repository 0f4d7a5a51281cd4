// The routes that the page offers: the documents that the requests take in turn, and the code to show.

export const ROUTES = {
  journal: {
    documents: ['/journal'],
    code: "app.use('/journal', fileLock(), journal);",
  },
  ledger: {
    documents: ['/ledger'],
    code: "router.post('/ledger', fileLock('ledger'), append);",
  },
  files: {
    documents: ['/files/a.txt', '/files/b.txt'],
    code: "router.post('/files/:name', fileLock({ name: (req) => `file:${req.params.name}` }), append);",
  },
  turns: {
    documents: ['/turns'],
    code: "app.use('/turns', fileLock('turns', { waitMs: 10_000 }), turns);",
  },
  report: {
    documents: ['/report'],
    code: "class ReportController {\n  @FileLocked('report')\n  async append(req, res) { … }\n}",
  },
};
