// From what an operation answered to what a model reads: bounded text, then images (contract D11, 7).
#pragma once
#include "operations/Operation.h"

namespace power::mcp {

struct ShapeRules {
    qsizetype maxChars = 50'000;              // MCP_RESPONSE_MAX_CHARS; nine tenths of it are used
    qsizetype maxErrorChars = 10'000;         // clients cut the text of an isError result at about 11,000
    qsizetype maxImageBase64 = 5'000'000;     // characters of base64 over all images; beyond it their line stands in
    bool images = true;                       // IMAGE_BASE64
    bool structured = true;                   // structuredContent for JSON results
    bool userErrorIsError = true;             // contract R16
};

// The result of tools/call without era stamps: content, isError, maybe structuredContent.
QJsonObject shapeResult(const Result<operations::Answer> &answer, const ShapeRules &rules);

// One block as the protocol's content, whole: for prompts, and for blocks that are no text.
QJsonObject contentBlock(const operations::Block &block);

} // namespace power::mcp
