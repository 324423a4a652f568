package app

// batch is how many deliveries one transaction changes, where there may be many:
// enough to share a commit, few enough that nobody waits long behind it.
const batch = 300
