package proxy

import (
	"net/http"
	"regexp"
	"strings"
)

// route names the operation of a request of the REST protocols; empty where it
// is none that responses call.
func route(service string, r *http.Request) string {
	switch service {
	case "S3":
		return routeS3(r)
	case "EBS":
		if strings.Contains(r.URL.Path, "/blocks/") {
			return "GetSnapshotBlock"
		}
		return "ListSnapshotBlocks"
	}
	for _, x := range routes {
		if x.service == service && x.method == r.Method && x.path.MatchString(r.URL.Path) {
			return x.operation
		}
	}
	return ""
}

// routes are those whose path says all.
var routes = []struct {
	service, method string
	path            *regexp.Regexp
	operation       string
}{
	{"Lambda", http.MethodGet, regexp.MustCompile(`/functions/[^/]+$`), "GetFunction"},
	{"Lambda", http.MethodPost, regexp.MustCompile(`/functions/?$`), "CreateFunction"},
	{"Lambda", http.MethodGet, regexp.MustCompile(`/functions/[^/]+/concurrency$`), "GetFunctionConcurrency"},
	{"Lambda", http.MethodPut, regexp.MustCompile(`/functions/[^/]+/concurrency$`), "PutFunctionConcurrency"},
	{"Lambda", http.MethodDelete, regexp.MustCompile(`/functions/[^/]+/concurrency$`), "DeleteFunctionConcurrency"},
	{"Lambda", http.MethodGet, regexp.MustCompile(`/functions/[^/]+/policy$`), "GetPolicy"},
	{"Lambda", http.MethodGet, regexp.MustCompile(`/functions/[^/]+/provisioned-concurrency$`), "ListProvisionedConcurrencyConfigs"}, // with ?List=ALL
	{"Lambda", http.MethodPut, regexp.MustCompile(`/functions/[^/]+/provisioned-concurrency$`), "PutProvisionedConcurrencyConfig"},
	{"Lambda", http.MethodDelete, regexp.MustCompile(`/functions/[^/]+/provisioned-concurrency$`), "DeleteProvisionedConcurrencyConfig"},
	{"Lambda", http.MethodGet, regexp.MustCompile(`/event-source-mappings/?$`), "ListEventSourceMappings"},
	{"GuardDuty", http.MethodGet, regexp.MustCompile(`^/detector/?$`), "ListDetectors"},
	{"GuardDuty", http.MethodGet, regexp.MustCompile(`^/detector/[^/]+$`), "GetDetector"},
	{"GuardDuty", http.MethodPost, regexp.MustCompile(`^/detector/[^/]+/findings$`), "ListFindings"},
	{"GuardDuty", http.MethodPost, regexp.MustCompile(`^/detector/[^/]+/findings/get$`), "GetFindings"},
	{"GuardDuty", http.MethodPost, regexp.MustCompile(`^/detector/[^/]+/findings/archive$`), "ArchiveFindings"},
}

// bucketSettings are the operations on what a bucket has, by the query.
var bucketSettings = []struct{ query, name string }{
	{"policyStatus", "BucketPolicyStatus"}, {"policy", "BucketPolicy"}, {"publicAccessBlock", "PublicAccessBlock"}, {"versioning", "BucketVersioning"},
	{"acl", "BucketAcl"}, {"object-lock", "ObjectLockConfiguration"}, {"ownershipControls", "BucketOwnershipControls"}, {"location", "BucketLocation"}, {"tagging", "BucketTagging"},
}

var verbs = map[string]string{http.MethodGet: "Get", http.MethodPut: "Put", http.MethodDelete: "Delete", http.MethodHead: "Head"}

// routeS3 names an operation on the path style: /bucket/key.
func routeS3(r *http.Request) string {
	q := r.URL.Query()
	_, key, object := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !object || key == "" {
		for _, s := range bucketSettings {
			if q.Has(s.query) {
				return verbs[r.Method] + s.name
			}
		}
		switch r.Method {
		case http.MethodGet:
			return "ListObjectsV2"
		case http.MethodPut:
			return "CreateBucket"
		}
		return verbs[r.Method] + "Bucket"
	}
	switch {
	case q.Has("tagging"):
		return verbs[r.Method] + "ObjectTagging"
	case q.Has("uploads"):
		return "CreateMultipartUpload"
	case q.Has("uploadId"):
		return map[string]string{http.MethodPut: "UploadPart", http.MethodPost: "CompleteMultipartUpload", http.MethodDelete: "AbortMultipartUpload", http.MethodGet: "ListParts"}[r.Method]
	}
	return verbs[r.Method] + "Object"
}
