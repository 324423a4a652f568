package app

// importSource is the source's name of findings that a person imports.
const importSource = "import"
