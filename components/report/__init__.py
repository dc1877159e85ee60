"""CompressionReport: one HTML file that shows what compressing a model saved and cost."""

HTML, JSON = "report.html", "report.json"
