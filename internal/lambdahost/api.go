package lambdahost

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// maxAnswer is the most that a function may answer: 6 MB.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const maxAnswer = 6 << 20

const (
	runtimeAPI   = "/2018-06-01/runtime"
	extensionAPI = "/2020-01-01/extension"
)

// api is what the function speaks to.
func (h *Host) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+runtimeAPI+"/invocation/next", h.next)
	mux.HandleFunc("POST "+runtimeAPI+"/invocation/{id}/response", h.response)
	mux.HandleFunc("POST "+runtimeAPI+"/invocation/{id}/error", h.failure)
	mux.HandleFunc("POST "+runtimeAPI+"/init/error", h.initFailure)
	mux.HandleFunc("POST "+extensionAPI+"/register", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Lambda-Extension-Name") == "" {
			refuse(w, http.StatusBadRequest, "InvalidExtensionName")
			return
		}
		w.Header().Set("Lambda-Extension-Identifier", "00000000-0000-4000-8000-00000000000e")
		_, _ = io.WriteString(w, `{"functionName":"guardroom","functionVersion":"$LATEST","handler":"bootstrap"}`)
	})
	// An extension that registered for no event waits here until the end.
	mux.HandleFunc("GET "+extensionAPI+"/event/next", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-h.quit:
		case <-r.Context().Done():
		}
	})
	return mux
}

func (h *Host) next(w http.ResponseWriter, r *http.Request) {
	h.once.Do(func() { close(h.first) })
	select {
	case h.asked <- struct{}{}:
	default:
	}
	select {
	case e := <-h.events:
		select {
		case <-h.asked: // it asks again when it has answered
		default:
		}
		h.mu.Lock()
		h.current = &e
		h.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(e.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:111111111111:function:guardroom")
		w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0")
		_, _ = w.Write(e.payload)
	case <-h.quit:
	case <-r.Context().Done():
	}
}

// take returns the event that an answer belongs to, once.
func (h *Host) take(id string) *event {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == nil || h.current.id != id {
		return nil
	}
	e := h.current
	h.current = nil
	return e
}

func (h *Host) response(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	e := h.take(r.PathValue("id"))
	switch {
	case e == nil:
		refuse(w, http.StatusBadRequest, "InvalidRequestID")
		return
	case err != nil:
		e.answer <- Answer{Error: err.Error(), ErrorType: "Runtime.TruncatedResponse"}
		refuse(w, http.StatusBadRequest, "Runtime.TruncatedResponse")
		return
	case len(body) > maxAnswer:
		e.answer <- Answer{Error: "response payload size exceeded maximum allowed payload size", ErrorType: "Function.ResponseSizeTooLarge"}
		refuse(w, http.StatusRequestEntityTooLarge, "Function.ResponseSizeTooLarge")
		return
	}
	e.answer <- Answer{Payload: body}
	accepted(w)
}

func (h *Host) failure(w http.ResponseWriter, r *http.Request) {
	a := failed(r)
	e := h.take(r.PathValue("id"))
	if e == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID")
		return
	}
	e.answer <- a
	accepted(w)
}

func (h *Host) initFailure(w http.ResponseWriter, r *http.Request) {
	a := failed(r)
	h.mu.Lock()
	h.initErr = a.ErrorType + ": " + a.Error
	h.mu.Unlock()
	accepted(w)
}

// failed reads an error of the function.
func failed(r *http.Request) Answer {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return Answer{Error: err.Error(), ErrorType: "Runtime.Unknown"}
	}
	var said struct {
		ErrorMessage string `json:"errorMessage"`
		ErrorType    string `json:"errorType"`
	}
	a := Answer{Payload: body, Error: string(body), ErrorType: r.Header.Get("Lambda-Runtime-Function-Error-Type")}
	if json.Unmarshal(body, &said) == nil && said.ErrorMessage != "" {
		a.Error = said.ErrorMessage
	}
	if a.ErrorType == "" {
		a.ErrorType = said.ErrorType
	}
	return a
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, errorType string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"errorType": errorType, "errorMessage": errorType})
}
