BEGIN TRANSACTION;
CREATE TABLE attempt_row (
	id INTEGER NOT NULL,
	request_id VARCHAR NOT NULL,
	number INTEGER NOT NULL,
	provider VARCHAR NOT NULL,
	model VARCHAR NOT NULL,
	error VARCHAR NOT NULL,
	cause VARCHAR NOT NULL,
	upstream_status INTEGER NOT NULL,
	verdict VARCHAR NOT NULL,
	latency_s FLOAT NOT NULL,
	maybe_billed BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "attempt_row" VALUES(1,'old',1,'openai','gpt-4o','UpstreamTimeout','first_byte',0,'fall_back',0.5,1);
CREATE TABLE kept_conversation (
	id INTEGER NOT NULL,
	expires FLOAT NOT NULL,
	responses INTEGER NOT NULL,
	size INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE kept_item (
	id INTEGER NOT NULL,
	kept INTEGER NOT NULL,
	owner VARCHAR NOT NULL,
	item_id VARCHAR NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE kept_response (
	id INTEGER NOT NULL,
	conversation INTEGER NOT NULL,
	previous INTEGER NOT NULL,
	owner VARCHAR NOT NULL,
	response_id VARCHAR NOT NULL,
	created FLOAT NOT NULL,
	removed BOOLEAN NOT NULL,
	size INTEGER NOT NULL,
	own VARCHAR NOT NULL,
	response VARCHAR NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE request_row (
	id INTEGER NOT NULL,
	request_id VARCHAR NOT NULL,
	started_at FLOAT NOT NULL,
	route VARCHAR NOT NULL,
	streamed BOOLEAN NOT NULL,
	outcome VARCHAR NOT NULL,
	status INTEGER NOT NULL,
	error VARCHAR NOT NULL,
	message VARCHAR NOT NULL,
	caller VARCHAR NOT NULL,
	requested_model VARCHAR NOT NULL,
	provider VARCHAR NOT NULL,
	model VARCHAR NOT NULL,
	user_text VARCHAR NOT NULL,
	assistant_text VARCHAR NOT NULL,
	prompt_tokens INTEGER NOT NULL,
	completion_tokens INTEGER NOT NULL,
	tokens_estimated BOOLEAN NOT NULL,
	latency_s FLOAT NOT NULL,
	first_content_s FLOAT NOT NULL,
	attempts INTEGER NOT NULL,
	fallbacks INTEGER NOT NULL,
	parse_s FLOAT NOT NULL,
	plan_s FLOAT NOT NULL,
	relay_s FLOAT NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "request_row" VALUES(1,'old',1763706792.125,'chat',0,'ok',200,'','','','orcestator','openai','gpt-4o','hello','hi',11,5,0,0.2,0.1,1,0,1.0e-05,1.0e-05,1.0e-05);
CREATE TABLE schema_version (
	version INTEGER NOT NULL,
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1);
CREATE INDEX ix_request_row_started_at ON request_row (started_at);
CREATE INDEX ix_request_row_request_id ON request_row (request_id);
CREATE INDEX ix_attempt_row_request_id ON attempt_row (request_id);
CREATE INDEX ix_kept_conversation_expires ON kept_conversation (expires);
CREATE INDEX ix_kept_response_name ON kept_response (owner, response_id);
CREATE INDEX ix_kept_response_conversation ON kept_response (conversation);
CREATE INDEX ix_kept_item_kept ON kept_item (kept);
CREATE INDEX ix_kept_item_name ON kept_item (owner, item_id);
COMMIT;
